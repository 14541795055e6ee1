// A host in Java, with JNA.
import com.sun.jna.*;
import com.sun.jna.ptr.*;
import java.util.*;

class Host {
    static final Licbak.OnStatus ON_STATUS = (status, hr, type, value, size, context) -> { // held while it may be called
        if (status == Licbak.PROGRESS) System.out.println(value.getLong(16) + " of " + value.getLong(8));
        if (status == Licbak.LEFT_OUT) System.out.println("left out: " + value.getString(0, "UTF-8"));
        return 0;
    };

    static String finish(Pointer restorer, int code) {
        var outcome = new IntByReference();
        if (code == 0) code = Licbak.C.licbak_wait(restorer, -1, outcome); // for ever
        return Licbak.C.licbak_hresult_name(code == 0 ? outcome.getValue() : code);
    }

    static String backUp(Pointer restorer, String store, String directory) {
        Licbak.C.licbak_set_prop_string(restorer, "StorePath", store);
        Licbak.C.licbak_set_prop_string(restorer, "BackupPath", directory);
        return finish(restorer, Licbak.C.licbak_backup_licenses(restorer, Licbak.CALL_IN_WAIT, ON_STATUS, null));
    }

    public static void main(String[] args) {
        var out = new PointerByReference();
        Licbak.C.licbak_create(out);
        var restorer = out.getValue();
        System.out.println("backup: " + backUp(restorer, args[0], args[1]));
        Others.run(restorer, args); // what all hosts of the tests do
        Licbak.C.licbak_destroy(restorer);
    }
}

interface Licbak extends Library {
    Licbak C = Native.load("liblicbak.so.0", Licbak.class, Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));
    int CALL_IN_WAIT = 0x1000, PROGRESS = 0x10001, LEFT_OUT = 0x10004;

    interface OnStatus extends Callback {
        int told(int status, int hr, int type, Pointer value, NativeLong size, Pointer context);
    }

    int licbak_create(PointerByReference restorer);
    int licbak_destroy(Pointer restorer);
    int licbak_set_prop_string(Pointer restorer, String name, String value);
    int licbak_backup_licenses(Pointer restorer, int flags, OnStatus callback, Pointer context);
    int licbak_wait(Pointer restorer, int timeoutMs, IntByReference outcome);
    String licbak_hresult_name(int hr);
}

// -- a store of its own, in memory --

interface More extends Library {
    More C = Native.load("liblicbak.so.0", More.class, Map.of(Library.OPTION_STRING_ENCODING, "UTF-8"));

    interface Emit extends Callback {
        int emit(License license, Pointer context);
    }
    interface Enumerate extends Callback {
        int enumerate(Pointer context, Emit emit, Pointer emitContext);
    }
    interface Get extends Callback {
        int get(Pointer context, String name, Emit emit, Pointer emitContext);
    }
    interface Put extends Callback {
        int put(Pointer context, License license);
    }

    @Structure.FieldOrder({"structSize", "name", "keyId", "content", "contentSize", "modified", "right", "format"})
    class License extends Structure {
        public NativeLong structSize = new NativeLong(size());
        public String name, keyId;
        public Pointer content;
        public NativeLong contentSize;
        public long modified;
        public int right, format;
    }
    @Structure.FieldOrder({"structSize", "context", "enumerate", "get", "put"})
    class Store extends Structure {
        public NativeLong structSize = new NativeLong(size());
        public Pointer context;
        public Enumerate enumerate;
        public Get get;
        public Put put;
    }

    int licbak_set_store(Pointer restorer, Store store);
    int licbak_restore_licenses(Pointer restorer, int flags, Licbak.OnStatus callback, Pointer context);
    int licbak_get_error_message(Pointer restorer, byte[] buffer, LongByReference size);
}

class Others {
    static final Map<String, byte[]> LICENSES = new TreeMap<>();
    static final More.Store OWN = new More.Store();

    static int give(String name, More.Emit emit, Pointer emitContext) {
        byte[] content = LICENSES.get(name);
        var license = new More.License();
        license.name = name;
        license.content = new Memory(content.length + 1);
        license.content.write(0, content, 0, content.length);
        license.contentSize = new NativeLong(content.length);
        return emit.emit(license, emitContext);
    }

    // -- what all hosts of the tests do --

    static void run(Pointer restorer, String[] args) {
        OWN.enumerate = (context, emit, emitContext) -> {
            int code = 0;
            for (var name : LICENSES.keySet())
                if (code == 0) code = give(name, emit, emitContext);
            return code;
        };
        OWN.get = (context, name, emit, emitContext) ->
            LICENSES.containsKey(name) ? give(name, emit, emitContext) : 0;
        OWN.put = (context, license) -> {
            LICENSES.put(license.name, license.content.getByteArray(0, license.contentSize.intValue()));
            return 0;
        };

        System.out.println("again: " + Host.backUp(restorer, args[0], args[1]) + ": " + sentence(restorer));
        Licbak.C.licbak_set_prop_string(restorer, "StorePath", args[2]);
        Licbak.C.licbak_set_prop_string(restorer, "RestorePath", args[1]);
        System.out.println("restore: " + restore(restorer));
        More.C.licbak_set_store(restorer, OWN);
        System.out.println("into own: " + restore(restorer));
        System.out.println("from own: " + Host.backUp(restorer, args[0], args[3]));
    }

    static String restore(Pointer restorer) {
        return Host.finish(restorer,
            More.C.licbak_restore_licenses(restorer, Licbak.CALL_IN_WAIT, Host.ON_STATUS, null));
    }

    static String sentence(Pointer restorer) {
        var text = new byte[1024];
        More.C.licbak_get_error_message(restorer, text, new LongByReference(text.length));
        return Native.toString(text, "UTF-8");
    }
}
