-- A host in LuaJIT.
local ffi = require "ffi"
ffi.cdef [[
  typedef struct { size_t struct_size; uint64_t total, done; } progress; // the rest is not read here
  typedef int32_t (*on_status)(uint32_t status, int32_t hr, uint32_t type, const void *value, size_t size, void *context);
  int32_t licbak_create(void **restorer);
  int32_t licbak_destroy(void *restorer);
  int32_t licbak_set_prop_string(void *restorer, const char *name, const char *value);
  int32_t licbak_backup_licenses(void *restorer, uint32_t flags, on_status callback, void *context);
  int32_t licbak_wait(void *restorer, uint32_t timeout_ms, int32_t *outcome);
  const char *licbak_hresult_name(int32_t hr);
]]
local licbak = ffi.load "liblicbak.so.0"

local on_status = ffi.cast("on_status", function(status, hr, type, value, size)
  if status == 0x10001 then
    local figures = ffi.cast("progress *", value)
    print(("%d of %d"):format(tonumber(figures.done), tonumber(figures.total)))
  elseif status == 0x10004 then
    print("left out: " .. ffi.string(value, size))
  end
  return 0
end)

local function finish(restorer, code)
  local out = ffi.new "int32_t[1]"
  if code == 0 then licbak.licbak_wait(restorer, 0xFFFFFFFF, out) end
  return ffi.string(licbak.licbak_hresult_name(code == 0 and out[0] or code))
end
jit.off(finish) -- compiled code must not call what calls Lua

local function back_up(restorer, store, directory)
  licbak.licbak_set_prop_string(restorer, "StorePath", store)
  licbak.licbak_set_prop_string(restorer, "BackupPath", directory)
  return finish(restorer, licbak.licbak_backup_licenses(restorer, 0x1000, on_status, nil)) -- LICBAK_CALL_IN_WAIT
end

local out = ffi.new "void *[1]"
licbak.licbak_create(out)
local restorer = ffi.gc(out[0], licbak.licbak_destroy)
print("backup: " .. back_up(restorer, arg[1], arg[2]))

-- a store of its own, in memory

ffi.cdef [[
  typedef struct {
    size_t struct_size; const char *name, *key_id, *content; size_t content_size; int64_t modified;
    uint32_t backup_right, format;
  } license;
  typedef int32_t (*emit)(const license *license, void *context);
  typedef struct {
    size_t struct_size; void *context;
    int32_t (*enumerate)(void *context, emit emit, void *emit_context);
    int32_t (*get)(void *context, const char *name, emit emit, void *emit_context);
    int32_t (*put)(void *context, const license *license);
  } store;
  int32_t licbak_set_store(void *restorer, const store *store);
  int32_t licbak_restore_licenses(void *restorer, uint32_t flags, on_status callback, void *context);
  int32_t licbak_get_error_message(void *restorer, char *buffer, size_t *size);
]]

local licenses = {}

local function give(name, emit, emit_context)
  local license = ffi.new "license"
  license.struct_size, license.name = ffi.sizeof(license), name
  license.content, license.content_size = licenses[name], #licenses[name]
  return emit(license, emit_context)
end
jit.off(give)

local own = ffi.new "store"
own.struct_size = ffi.sizeof(own)
own.enumerate = function(_, emit, emit_context)
  for name in pairs(licenses) do
    local hr = give(name, emit, emit_context)
    if hr ~= 0 then return hr end
  end
  return 0
end
own.get = function(_, name, emit, emit_context)
  name = ffi.string(name)
  return licenses[name] and give(name, emit, emit_context) or 0
end
own.put = function(_, license)
  licenses[ffi.string(license.name)] = ffi.string(license.content, license.content_size)
  return 0
end

-- what all hosts of the tests do

local function sentence()
  local text, size = ffi.new "char[1024]", ffi.new("size_t[1]", 1024)
  licbak.licbak_get_error_message(restorer, text, size)
  return ffi.string(text)
end

local function restore()
  return finish(restorer, licbak.licbak_restore_licenses(restorer, 0x1000, on_status, nil))
end

print("again: " .. back_up(restorer, arg[1], arg[2]) .. ": " .. sentence())
licbak.licbak_set_prop_string(restorer, "StorePath", arg[3])
licbak.licbak_set_prop_string(restorer, "RestorePath", arg[2])
print("restore: " .. restore())
licbak.licbak_set_store(restorer, own)
print("into own: " .. restore())
print("from own: " .. back_up(restorer, arg[1], arg[4]))
