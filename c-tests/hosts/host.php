<?php
// A host in PHP, with its own FFI.
$licbak = FFI::cdef('
    typedef struct { size_t struct_size; uint64_t total, done; } progress; // the rest is not read here
    typedef int32_t (*on_status)(uint32_t status, int32_t hr, uint32_t type, const void *value, size_t size, void *context);
    int32_t licbak_create(void **restorer);
    int32_t licbak_destroy(void *restorer);
    int32_t licbak_set_prop_string(void *restorer, const char *name, const char *value);
    int32_t licbak_backup_licenses(void *restorer, uint32_t flags, on_status callback, void *context);
    int32_t licbak_wait(void *restorer, uint32_t timeout_ms, int32_t *outcome);
    const char *licbak_hresult_name(int32_t hr);', 'liblicbak.so.0');

$on_status = function ($status, $hr, $type, $value, $size, $context) use ($licbak) {
    if ($status === 0x10001) {
        $figures = $licbak->cast('progress *', $value);
        echo "{$figures->done} of {$figures->total}\n";
    } elseif ($status === 0x10004) {
        echo 'left out: ', FFI::string($value, $size), "\n";
    }
    return 0;
};

function finish($licbak, $restorer, int $code): string
{
    $outcome = FFI::new('int32_t');
    if ($code === 0) {
        $licbak->licbak_wait($restorer, 0xFFFFFFFF, FFI::addr($outcome));
    }
    return $licbak->licbak_hresult_name($code ?: $outcome->cdata);
}

function back_up($licbak, $restorer, $on_status, string $store, string $directory): string
{
    $licbak->licbak_set_prop_string($restorer, 'StorePath', $store);
    $licbak->licbak_set_prop_string($restorer, 'BackupPath', $directory);
    return finish($licbak, $restorer, $licbak->licbak_backup_licenses($restorer, 0x1000, $on_status, null));
}

$restorer = $licbak->new('void *');
$licbak->licbak_create(FFI::addr($restorer));
$name = back_up($licbak, $restorer, $on_status, $argv[1], $argv[2]);
echo "backup: $name\n";

// A store of its own, in memory.

$more = FFI::cdef('
    typedef struct {
        size_t struct_size; char *name; char *key_id; char *content; size_t content_size; int64_t modified;
        uint32_t backup_right, format;
    } license;
    typedef int32_t (*emit)(license *license, void *context);
    typedef struct {
        size_t struct_size; void *context;
        int32_t (*enumerate)(void *context, emit give, void *give_context);
        int32_t (*get)(void *context, const char *name, emit give, void *give_context);
        int32_t (*put)(void *context, license *license);
    } store;
    typedef int32_t (*on_status)(uint32_t status, int32_t hr, uint32_t type, void *value, size_t size, void *context);
    int32_t licbak_set_store(void *restorer, store *store);
    int32_t licbak_restore_licenses(void *restorer, uint32_t flags, on_status callback, void *context);
    int32_t licbak_get_error_message(void *restorer, char *buffer, size_t *size);', 'liblicbak.so.0');

function bytes(string $text): FFI\CData
{
    $bytes = FFI::new('char[' . strlen($text) + 1 . ']');
    FFI::memcpy($bytes, "$text\0", strlen($text) + 1);
    return $bytes;
}

$licenses = [];
$give = function (string $name, $emit, $emit_context) use ($more, &$licenses) {
    [$name_bytes, $content] = [bytes($name), bytes($licenses[$name])];
    $license = $more->new('license');
    $license->struct_size = FFI::sizeof($license);
    $license->name = FFI::addr($name_bytes[0]);
    $license->content = FFI::addr($content[0]);
    $license->content_size = strlen($licenses[$name]);
    return $emit(FFI::addr($license), $emit_context);
};
$own = $more->new('store');
$own->struct_size = FFI::sizeof($own);
$own->enumerate = function ($context, $emit, $emit_context) use ($give, &$licenses) {
    foreach (array_keys($licenses) as $name) {
        if (($code = $give($name, $emit, $emit_context)) !== 0) {
            return $code;
        }
    }
    return 0;
};
$own->get = fn($context, $name, $emit, $emit_context) =>
    isset($licenses[$name]) ? $give($name, $emit, $emit_context) : 0;
$own->put = function ($context, $license) use (&$licenses) {
    $content = $license->content_size > 0 ? FFI::string($license->content, $license->content_size) : '';
    $licenses[FFI::string($license->name)] = $content;
    return 0;
};

// What all hosts of the tests do.

$sentence = function () use ($more, $restorer) {
    [$text, $size] = [FFI::new('char[1024]'), FFI::new('size_t')];
    $size->cdata = 1024;
    $more->licbak_get_error_message($restorer, $text, FFI::addr($size));
    return FFI::string($text);
};
$restore = fn() => finish($licbak, $restorer, $more->licbak_restore_licenses($restorer, 0x1000, $on_status, null));

$name = back_up($licbak, $restorer, $on_status, $argv[1], $argv[2]);
echo "again: $name: ", $sentence(), "\n";
$licbak->licbak_set_prop_string($restorer, 'StorePath', $argv[3]);
$licbak->licbak_set_prop_string($restorer, 'RestorePath', $argv[2]);
echo "restore: {$restore()}\n";
$more->licbak_set_store($restorer, FFI::addr($own));
echo "into own: {$restore()}\n";
$name = back_up($licbak, $restorer, $on_status, $argv[1], $argv[4]);
echo "from own: $name\n";
$licbak->licbak_destroy($restorer);
