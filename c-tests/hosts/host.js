// A host in Node, with koffi. Its event loop waits for licbak beside all else.
const koffi = require('koffi');
const licbak = koffi.load('liblicbak.so.0');
const Progress = koffi.struct({ struct_size: 'size_t', total: 'uint64', done: 'uint64' }); // the rest is not read here
koffi.proto('int32 on_status(uint32 status, int32 hr, uint32 type, void *value, size_t size, void *context)');
const create = licbak.func('int32 licbak_create(_Out_ void **restorer)');
const destroy = licbak.func('int32 licbak_destroy(void *restorer)');
const set = licbak.func('int32 licbak_set_prop_string(void *restorer, str name, str value)');
const backup = licbak.func('int32 licbak_backup_licenses(void *restorer, uint32 flags, on_status *callback, void *context)');
const wait = licbak.func('int32 licbak_wait(void *restorer, uint32 timeout_ms, _Out_ int32 *outcome)');
const waitDescriptor = licbak.func('int32 licbak_get_wait_descriptor(void *restorer, _Out_ intptr_t *descriptor)');
const nameOf = licbak.func('str licbak_hresult_name(int32 hr)');

const onStatus = koffi.register((status, hr, type, value, size) => {
  if (status === 0x10001) {
    const { done, total } = koffi.decode(value, Progress);
    console.log(`${done} of ${total}`);
  } else if (status === 0x10004) console.log('left out:', koffi.decode(value, 'char', Number(size)));
  return 0;
}, 'on_status *');

async function finish(restorer, code) {
  const [descriptor, outcome] = [[-1], [0]];
  if (code !== 0 || (code = waitDescriptor(restorer, descriptor)) !== 0) return nameOf(code);
  return new Promise((resolve) => {
    const handle = koffi.node.poll(Number(descriptor[0]), { readable: true }, () => {
      if (wait(restorer, 0, outcome) === 1) return; // it goes on
      handle.close();
      resolve(nameOf(outcome[0]));
    });
  });
}

function backUp(restorer, store, directory) {
  set(restorer, 'StorePath', store);
  set(restorer, 'BackupPath', directory);
  return finish(restorer, backup(restorer, 0x1000, onStatus, null)); // LICBAK_CALL_IN_WAIT
}


const [store, directory, restored, ownDirectory] = process.argv.slice(2);
const out = [null];
create(out);
const [restorer] = out;
const done = backUp(restorer, store, directory).then((name) => console.log('backup:', name));

// -- a store of its own, in memory --

const License = koffi.struct('license', {
  struct_size: 'size_t', name: 'str', key_id: 'str', content: 'void *', content_size: 'size_t',
  modified: 'int64', backup_right: 'uint32', format: 'uint32',
});
const Emit = koffi.proto('int32 emit(license *license, void *context)');
const Enumerate = koffi.proto('int32 enumerate(void *context, void *emit, void *emit_context)');
const Get = koffi.proto('int32 get(void *context, str name, void *emit, void *emit_context)');
const Put = koffi.proto('int32 put(void *context, license *license)');
koffi.struct('store', {
  struct_size: 'size_t', context: 'void *', enumerate: koffi.pointer(Enumerate), get: koffi.pointer(Get),
  put: koffi.pointer(Put),
});
const setStore = licbak.func('int32 licbak_set_store(void *restorer, store *store)');
const restore = licbak.func('int32 licbak_restore_licenses(void *restorer, uint32 flags, on_status *callback, void *context)');
const message = licbak.func('int32 licbak_get_error_message(void *restorer, _Out_ uint8_t *buffer, _Inout_ size_t *size)');

const licenses = new Map();

function give(name, emit, emitContext) {
  const content = licenses.get(name);
  const license = {
    struct_size: koffi.sizeof(License), name, key_id: null, content, content_size: content.length,
    modified: 0, backup_right: 0, format: 0,
  };
  return koffi.call(emit, Emit, license, emitContext);
}

const own = {
  struct_size: 40,
  context: null,
  enumerate(context, emit, emitContext) {
    for (const name of licenses.keys()) {
      const code = give(name, emit, emitContext);
      if (code !== 0) return code;
    }
    return 0;
  },
  get: (context, name, emit, emitContext) => (licenses.has(name) ? give(name, emit, emitContext) : 0),
  put(context, pointer) {
    const { name, content, content_size: size } = koffi.decode(pointer, License);
    licenses.set(name, Buffer.from(koffi.decode(content, 'uint8_t', Number(size))));
    return 0;
  },
};
for (const [name, type] of Object.entries({ enumerate: Enumerate, get: Get, put: Put })) {
  own[name] = koffi.register(own[name], koffi.pointer(type)); // for as long as it may be called
}

// -- what all hosts of the tests do --

function sentence() {
  const [text, size] = [Buffer.alloc(1024), [1024]];
  message(restorer, text, size);
  return text.toString('utf8', 0, Number(size[0]) - 1);
}

done.then(async () => {
  console.log('again:', `${await backUp(restorer, store, directory)}:`, sentence());
  set(restorer, 'StorePath', restored);
  set(restorer, 'RestorePath', directory);
  console.log('restore:', await finish(restorer, restore(restorer, 0x1000, onStatus, null)));
  setStore(restorer, own);
  console.log('into own:', await finish(restorer, restore(restorer, 0x1000, onStatus, null)));
  console.log('from own:', await backUp(restorer, store, ownDirectory));
  destroy(restorer);
});
