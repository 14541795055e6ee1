// A host in Go, with cgo.
package main

/*
#cgo pkg-config: licbak
#include <licbak.h>
#include <stdlib.h>
licbak_hresult onStatus(licbak_status, licbak_hresult, licbak_datatype, uint8_t *, size_t, void *);
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

//export onStatus
func onStatus(status C.licbak_status, hr C.licbak_hresult, kind C.licbak_datatype, value *C.uint8_t, size C.size_t, context unsafe.Pointer) C.licbak_hresult {
	switch status {
	case C.LICBAK_STATUS_PROGRESS:
		figures := (*C.licbak_progress)(unsafe.Pointer(value))
		fmt.Println(figures.licenses_done, "of", figures.licenses_total)
	case C.LICBAK_STATUS_LICENSE_LEFT_OUT:
		fmt.Println("left out:", C.GoStringN((*C.char)(unsafe.Pointer(value)), C.int(size)))
	}
	return C.LICBAK_S_OK
}

// callback is onStatus as C takes it.
var callback = C.licbak_status_callback(C.onStatus)

func finish(restorer *C.licbak_restorer, hr C.licbak_hresult) string {
	if hr == C.LICBAK_S_OK {
		C.licbak_wait(restorer, C.LICBAK_WAIT_FOREVER, &hr)
	}
	return C.GoString(C.licbak_hresult_name(hr))
}

func set(restorer *C.licbak_restorer, name, value string) {
	n, v := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(v))
	C.licbak_set_prop_string(restorer, n, v)
}

func backUp(restorer *C.licbak_restorer, store, directory string) string {
	set(restorer, "StorePath", store)
	set(restorer, "BackupPath", directory)
	return finish(restorer, C.licbak_backup_licenses(restorer, C.LICBAK_CALL_IN_WAIT, callback, nil))
}

func main() {
	var restorer *C.licbak_restorer
	C.licbak_create(&restorer)
	defer C.licbak_destroy(restorer)
	fmt.Println("backup:", backUp(restorer, os.Args[1], os.Args[2]))
	others(restorer) // what all hosts of the tests do
}
