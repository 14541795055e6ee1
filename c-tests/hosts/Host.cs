// A host in C#, by P/Invoke.
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

static class Licbak {
    const string Library = "liblicbak.so.0";
    public const uint CallInWait = 0x1000, Progress = 0x10001, LeftOut = 0x10004, Forever = 0xFFFFFFFF;

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate int OnStatus(uint status, int hr, uint type, IntPtr value, UIntPtr size, IntPtr context);

    [DllImport(Library)] public static extern int licbak_create(out IntPtr restorer);
    [DllImport(Library)] public static extern int licbak_destroy(IntPtr restorer);
    [DllImport(Library)] public static extern int licbak_set_prop_string(IntPtr restorer, string name, byte[] value);
    [DllImport(Library)] public static extern int licbak_backup_licenses(IntPtr restorer, uint flags, OnStatus callback, IntPtr context);
    [DllImport(Library)] public static extern int licbak_wait(IntPtr restorer, uint timeout_ms, out int outcome);
    [DllImport(Library)] public static extern IntPtr licbak_hresult_name(int hr);
}

static partial class Host {
    static readonly Licbak.OnStatus onStatus = (status, hr, type, value, size, context) => { // held while it may be called
        if (status == Licbak.Progress) Console.WriteLine("{0} of {1}", Marshal.ReadInt64(value, 16), Marshal.ReadInt64(value, 8));
        if (status == Licbak.LeftOut) Console.WriteLine("left out: " + Text(value));
        return 0;
    };

    static string Finish(IntPtr restorer, int code) {
        int outcome = code;
        if (code == 0) Licbak.licbak_wait(restorer, Licbak.Forever, out outcome);
        return Text(Licbak.licbak_hresult_name(outcome));
    }

    static string BackUp(IntPtr restorer, string store, string directory) {
        Set(restorer, "StorePath", store);
        Set(restorer, "BackupPath", directory);
        return Finish(restorer, Licbak.licbak_backup_licenses(restorer, Licbak.CallInWait, onStatus, IntPtr.Zero));
    }

    static void Set(IntPtr restorer, string name, string value) {
        Licbak.licbak_set_prop_string(restorer, name, Encoding.UTF8.GetBytes(value + "\0"));
    }

    static string Text(IntPtr utf8) {
        var bytes = new List<byte>();
        for (byte b; (b = Marshal.ReadByte(utf8, bytes.Count)) != 0;) bytes.Add(b);
        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    static void Main(string[] args) {
        IntPtr restorer;
        Licbak.licbak_create(out restorer);
        Console.WriteLine("backup: " + BackUp(restorer, args[0], args[1]));
        Others(restorer, args); // what all hosts of the tests do
        Licbak.licbak_destroy(restorer);
    }
}

// -- a store of its own, in memory --

static class More {
    const string Library = "liblicbak.so.0";

    [StructLayout(LayoutKind.Sequential)]
    public struct License {
        public UIntPtr struct_size;
        public IntPtr name, key_id, content;
        public UIntPtr content_size;
        public long modified;
        public uint backup_right, format;
    }
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)] public delegate int Emit(ref License license, IntPtr context);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)] public delegate int EnumerateAll(IntPtr context, Emit emit, IntPtr emitContext);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)] public delegate int GetOne(IntPtr context, IntPtr name, Emit emit, IntPtr emitContext);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)] public delegate int PutOne(IntPtr context, ref License license);

    [StructLayout(LayoutKind.Sequential)]
    public struct Store {
        public UIntPtr struct_size;
        public IntPtr context;
        public EnumerateAll enumerate;
        public GetOne get;
        public PutOne put;
    }

    [DllImport(Library)] public static extern int licbak_set_store(IntPtr restorer, ref Store store);
    [DllImport(Library)] public static extern int licbak_restore_licenses(IntPtr restorer, uint flags, Licbak.OnStatus callback, IntPtr context);
    [DllImport(Library)] public static extern int licbak_get_error_message(IntPtr restorer, byte[] buffer, ref UIntPtr size);
}

static partial class Host {
    static readonly SortedDictionary<string, byte[]> licenses = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
    static More.Store own = new More.Store { // held while its functions may be called
        struct_size = (UIntPtr)Marshal.SizeOf(typeof(More.Store)),
        enumerate = (context, emit, emitContext) => {
            foreach (var name in licenses.Keys) {
                int code = Give(name, emit, emitContext);
                if (code != 0) return code;
            }
            return 0;
        },
        get = (context, name, emit, emitContext) =>
            licenses.ContainsKey(Text(name)) ? Give(Text(name), emit, emitContext) : 0,
        put = (IntPtr context, ref More.License license) => {
            var content = new byte[(int)license.content_size];
            Marshal.Copy(license.content, content, 0, content.Length);
            licenses[Text(license.name)] = content;
            return 0;
        },
    };

    static int Give(string name, More.Emit emit, IntPtr emitContext) {
        var pinnedName = GCHandle.Alloc(Encoding.UTF8.GetBytes(name + "\0"), GCHandleType.Pinned);
        var content = GCHandle.Alloc(licenses[name], GCHandleType.Pinned);
        try {
            var license = new More.License {
                struct_size = (UIntPtr)Marshal.SizeOf(typeof(More.License)),
                name = pinnedName.AddrOfPinnedObject(),
                content = content.AddrOfPinnedObject(),
                content_size = (UIntPtr)licenses[name].Length,
            };
            return emit(ref license, emitContext);
        } finally {
            pinnedName.Free();
            content.Free();
        }
    }

    // -- what all hosts of the tests do --

    static void Others(IntPtr restorer, string[] args) {
        Console.WriteLine("again: " + BackUp(restorer, args[0], args[1]) + ": " + Sentence(restorer));
        Set(restorer, "StorePath", args[2]);
        Set(restorer, "RestorePath", args[1]);
        Console.WriteLine("restore: " + Restore(restorer));
        More.licbak_set_store(restorer, ref own);
        Console.WriteLine("into own: " + Restore(restorer));
        Console.WriteLine("from own: " + BackUp(restorer, args[0], args[3]));
    }

    static string Restore(IntPtr restorer) {
        return Finish(restorer, More.licbak_restore_licenses(restorer, Licbak.CallInWait, onStatus, IntPtr.Zero));
    }

    static string Sentence(IntPtr restorer) {
        var text = new byte[1024];
        var size = (UIntPtr)text.Length;
        More.licbak_get_error_message(restorer, text, ref size);
        return Encoding.UTF8.GetString(text, 0, (int)size - 1);
    }
}
