# A host in Ruby, with the gem ffi.
require 'ffi'

module Licbak
  extend FFI::Library
  ffi_lib 'liblicbak.so.0'
  callback :on_status, %i[uint32 int32 uint32 pointer size_t pointer], :int32
  attach_function :create, :licbak_create, [:pointer], :int32
  attach_function :destroy, :licbak_destroy, [:pointer], :int32
  attach_function :set, :licbak_set_prop_string, %i[pointer string string], :int32
  attach_function :backup, :licbak_backup_licenses, %i[pointer uint32 on_status pointer], :int32
  attach_function :wait, :licbak_wait, %i[pointer uint32 pointer], :int32
  attach_function :hresult_name, :licbak_hresult_name, [:int32], :string
end

ON_STATUS = lambda do |status, _hr, _type, value, size, _context|
  puts "#{value.get_uint64(16)} of #{value.get_uint64(8)}" if status == 0x10001
  puts "left out: #{value.read_string(size)}" if status == 0x10004
  0
end

# Waits a little at a time, so that Ruby handles Ctrl-C and its other threads.
def finish(restorer, code)
  FFI::MemoryPointer.new(:int32) do |out|
    nil while code.zero? && Licbak.wait(restorer, 50, out) == 1
    code = out.read_int32 if code.zero?
  end
  code
end

def back_up(restorer, store, directory)
  Licbak.set(restorer, 'StorePath', store)
  Licbak.set(restorer, 'BackupPath', directory)
  finish(restorer, Licbak.backup(restorer, 0x1000, ON_STATUS, nil)) # LICBAK_CALL_IN_WAIT
end

restorer = FFI::MemoryPointer.new(:pointer).tap { |out| Licbak.create(out) }.read_pointer
code = back_up(restorer, ARGV[0], ARGV[1])
puts "backup: #{Licbak.hresult_name(code)}"

# -- a store of its own, in memory --

module Licbak
  class License < FFI::Struct
    layout :struct_size, :size_t, :name, :pointer, :key_id, :pointer, :content, :pointer, :content_size, :size_t,
           :modified, :int64, :backup_right, :uint32, :format, :uint32
  end
  callback :emit, [License.by_ref, :pointer], :int32
  callback :enumerate, %i[pointer emit pointer], :int32
  callback :get, %i[pointer string emit pointer], :int32
  callback :put, [:pointer, License.by_ref], :int32
  class Store < FFI::Struct
    layout :struct_size, :size_t, :context, :pointer, :enumerate, :enumerate, :get, :get, :put, :put
  end
  attach_function :set_store, :licbak_set_store, [:pointer, Store.by_ref], :int32
  attach_function :restore, :licbak_restore_licenses, %i[pointer uint32 on_status pointer], :int32
  attach_function :message, :licbak_get_error_message, %i[pointer pointer pointer], :int32
end

LICENSES = {}
EMIT = lambda do |name, content, emit, emit_context|
  license = Licbak::License.new
  license[:struct_size] = license.size
  texts = [FFI::MemoryPointer.from_string(name), FFI::MemoryPointer.from_string(content)]
  license[:name], license[:content] = texts
  license[:content_size] = content.bytesize
  emit.call(license, emit_context)
end

OWN = Licbak::Store.new
OWN[:struct_size] = OWN.size
OWN[:enumerate] = lambda do |_, emit, emit_context|
  LICENSES.each { |name, content| (hr = EMIT.call(name, content, emit, emit_context)).zero? or return hr }
  0
end
OWN[:get] = lambda do |_, name, emit, emit_context|
  LICENSES.key?(name) ? EMIT.call(name, LICENSES[name], emit, emit_context) : 0
end
OWN[:put] = lambda do |_, license|
  size = license[:content_size]
  LICENSES[license[:name].read_string] = size.zero? ? '' : license[:content].read_bytes(size)
  0
end

# -- what all hosts of the tests do --

def sentence(restorer)
  size = FFI::MemoryPointer.new(:size_t).write_ulong(1024)
  text = FFI::MemoryPointer.new(1024)
  Licbak.message(restorer, text, size)
  text.read_string
end

code = back_up(restorer, ARGV[0], ARGV[1])
puts "again: #{Licbak.hresult_name(code)}: #{sentence(restorer)}"
Licbak.set(restorer, 'StorePath', ARGV[2])
Licbak.set(restorer, 'RestorePath', ARGV[1])
puts "restore: #{Licbak.hresult_name(finish(restorer, Licbak.restore(restorer, 0x1000, ON_STATUS, nil)))}"
Licbak.set_store(restorer, OWN)
puts "into own: #{Licbak.hresult_name(finish(restorer, Licbak.restore(restorer, 0x1000, ON_STATUS, nil)))}"
puts "from own: #{Licbak.hresult_name(back_up(restorer, ARGV[0], ARGV[3]))}"
Licbak.destroy(restorer)
