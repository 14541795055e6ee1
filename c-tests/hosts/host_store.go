// The store in memory of the host in Go, and what all hosts of the tests do.
package main

/*
#include <licbak.h>
#include <stdlib.h>
licbak_hresult enumerate(void *, licbak_license_callback, void *);
licbak_hresult get(void *, char *, licbak_license_callback, void *);
licbak_hresult put(void *, licbak_license *);
typedef licbak_hresult (*get_function)(void *, const char *, licbak_license_callback, void *);
typedef licbak_hresult (*put_function)(void *, const licbak_license *);
static inline licbak_store own(void) {
    licbak_store store = {.struct_size = sizeof store, .enumerate = enumerate};
    store.get = (get_function)get;
    store.put = (put_function)put;
    return store;
}
// Go can't call a function's address itself.
static inline licbak_hresult call(licbak_license_callback emit, char *name, void *content, size_t size, void *context) {
    licbak_license license = {.struct_size = sizeof license, .name = name, .content = content};
    license.content_size = size;
    return emit(&license, context);
}
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

var licenses = map[string][]byte{}

func give(name string, emit C.licbak_license_callback, context unsafe.Pointer) C.licbak_hresult {
	n, content := C.CString(name), C.CBytes(licenses[name])
	defer C.free(unsafe.Pointer(n))
	defer C.free(content)
	return C.call(emit, n, content, C.size_t(len(licenses[name])), context)
}

//export enumerate
func enumerate(_ unsafe.Pointer, emit C.licbak_license_callback, context unsafe.Pointer) C.licbak_hresult {
	for name := range licenses {
		if hr := give(name, emit, context); hr != C.LICBAK_S_OK {
			return hr
		}
	}
	return C.LICBAK_S_OK
}

//export get
func get(_ unsafe.Pointer, name *C.char, emit C.licbak_license_callback, context unsafe.Pointer) C.licbak_hresult {
	if _, known := licenses[C.GoString(name)]; !known {
		return C.LICBAK_S_OK
	}
	return give(C.GoString(name), emit, context)
}

//export put
func put(_ unsafe.Pointer, license *C.licbak_license) C.licbak_hresult {
	licenses[C.GoString(license.name)] = C.GoBytes(unsafe.Pointer(license.content), C.int(license.content_size))
	return C.LICBAK_S_OK
}

func others(restorer *C.licbak_restorer) {
	restore := func() string {
		return finish(restorer, C.licbak_restore_licenses(restorer, C.LICBAK_CALL_IN_WAIT, callback, nil))
	}
	fmt.Printf("again: %s: %s\n", backUp(restorer, os.Args[1], os.Args[2]), sentence(restorer))
	set(restorer, "StorePath", os.Args[3])
	set(restorer, "RestorePath", os.Args[2])
	fmt.Println("restore:", restore())
	store := C.own()
	C.licbak_set_store(restorer, &store)
	fmt.Println("into own:", restore())
	fmt.Println("from own:", backUp(restorer, os.Args[1], os.Args[4]))
}

func sentence(restorer *C.licbak_restorer) string {
	var text [1024]C.char
	size := C.size_t(len(text))
	C.licbak_get_error_message(restorer, &text[0], &size)
	return C.GoString(&text[0])
}
