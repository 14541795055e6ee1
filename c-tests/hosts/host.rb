# A host in Ruby, with nothing but its own Fiddle.
require 'fiddle/import'

module Licbak
  extend Fiddle::Importer
  dlload 'liblicbak.so.0'
  extern 'int licbak_create(void *)'
  extern 'int licbak_destroy(void *)'
  extern 'int licbak_set_prop_string(void *, const char *, const char *)'
  extern 'int licbak_backup_licenses(void *, unsigned int, void *, void *)'
  extern 'int licbak_wait(void *, unsigned int, void *)'
  extern 'const char *licbak_hresult_name(int)'
end

ON_STATUS = Class.new(Fiddle::Closure) do
  def call(status, _hr, _type, value, size, _context)
    puts format('%<done>d of %<total>d', %i[total done].zip(value[8, 16].unpack('Q2')).to_h) if status == 0x10001
    puts "left out: #{value[0, size]}" if status == 0x10004
    0
  end
end.new(Fiddle::TYPE_INT, [-Fiddle::TYPE_INT, Fiddle::TYPE_INT, -Fiddle::TYPE_INT,
                           Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T, Fiddle::TYPE_VOIDP])

# Waits a little at a time, so that Ruby handles Ctrl-C and its other threads.
def finish(restorer, code)
  out = [0].pack('l')
  nil while code.zero? && Licbak.licbak_wait(restorer, 50, out) == 1
  code.zero? ? out.unpack1('l') : code
end

def back_up(restorer, store, directory)
  Licbak.licbak_set_prop_string(restorer, 'StorePath', store)
  Licbak.licbak_set_prop_string(restorer, 'BackupPath', directory)
  finish(restorer, Licbak.licbak_backup_licenses(restorer, 0x1000, ON_STATUS, nil)) # LICBAK_CALL_IN_WAIT
end

def name(code) = Licbak.licbak_hresult_name(code).to_s

out = [0].pack('J')
Licbak.licbak_create(out)
restorer = out.unpack1('J')
puts "backup: #{name(back_up(restorer, ARGV[0], ARGV[1]))}"

# -- what all hosts of the tests do --

module Licbak
  extern 'int licbak_get_error_message(void *, void *, void *)'
  extern 'int licbak_restore_licenses(void *, unsigned int, void *, void *)'
end

def sentence(restorer)
  text = Fiddle::Pointer.malloc(1024, Fiddle::RUBY_FREE)
  Licbak.licbak_get_error_message(restorer, text, [1024].pack('J'))
  text.to_s
end

puts "again: #{name(back_up(restorer, ARGV[0], ARGV[1]))}: #{sentence(restorer)}"
Licbak.licbak_set_prop_string(restorer, 'StorePath', ARGV[2])
Licbak.licbak_set_prop_string(restorer, 'RestorePath', ARGV[1])
puts "restore: #{name(finish(restorer, Licbak.licbak_restore_licenses(restorer, 0x1000, ON_STATUS, nil)))}"
Licbak.licbak_destroy(restorer)
