# A host in Perl, with FFI::Platypus.
use strict;
use warnings;
use FFI::Platypus 2.00;

my $ffi = FFI::Platypus->new(api => 2, lib => 'liblicbak.so.0');
$ffi->mangler(sub { "licbak_$_[0]" });
$ffi->attach(create          => ['opaque*']                              => 'sint32');
$ffi->attach(destroy         => ['opaque']                               => 'sint32');
$ffi->attach(set_prop_string => ['opaque', 'string', 'string']           => 'sint32');
$ffi->type('(uint32, sint32, uint32, opaque, size_t, opaque)->sint32'    => 'on_status');
$ffi->attach(backup_licenses => ['opaque', 'uint32', 'on_status', 'opaque'] => 'sint32');
$ffi->attach(wait            => ['opaque', 'uint32', 'sint32*']          => 'sint32');
$ffi->attach(hresult_name    => ['sint32']                               => 'string');

my $on_status = $ffi->closure(sub {
    my ($status, $hr, $type, $value, $size) = @_;
    if ($status == 0x10001) {
        my (undef, $total, $done) = unpack 'Q3', unpack('P24', pack 'J', $value);
        print "$done of $total\n";
    }
    print 'left out: ', $ffi->cast(opaque => 'string', $value), "\n" if $status == 0x10004;
    0;
});

# Waits a little at a time, so that Perl handles its signals.
sub finish {
    my ($restorer, $code) = @_;
    1 while $code == 0 && main::wait($restorer, 50, \my $outcome) == 1;
    main::wait($restorer, 0, \$code) if $code == 0;
    hresult_name($code);
}

sub back_up {
    my ($restorer, $store, $directory) = @_;
    set_prop_string($restorer, StorePath  => $store);
    set_prop_string($restorer, BackupPath => $directory);
    finish($restorer, backup_licenses($restorer, 0x1000, $on_status, undef)); # LICBAK_CALL_IN_WAIT
}

create(\my $restorer);
print 'backup: ', back_up($restorer, @ARGV[0, 1]), "\n";

# -- a store of its own, in memory --

$ffi->attach(set_store         => ['opaque', 'opaque']                        => 'sint32');
$ffi->attach(restore_licenses  => ['opaque', 'uint32', 'on_status', 'opaque'] => 'sint32');
$ffi->attach(get_error_message => ['opaque', 'opaque', 'size_t*']             => 'sint32');

my %licenses;

# The address of a string's bytes, which end with a NUL.
sub address { unpack 'J', pack 'P', $_[0] }

sub give {
    my ($name, $emit, $emit_context) = @_;
    # licbak_license: its size, name, key ID, content and its size, time, right, format
    my $license = pack 'J5 q L2', 56, address($name), 0, address($licenses{$name}), length $licenses{$name}, 0, 0, 0;
    $ffi->function($emit, ['opaque', 'opaque'] => 'sint32')->call(address($license), $emit_context);
}

my @own = (
    $ffi->closure(sub {
        my ($context, $emit, $emit_context) = @_;
        for my $name (sort keys %licenses) {
            my $code = give($name, $emit, $emit_context);
            return $code if $code;
        }
        0;
    }),
    $ffi->closure(sub {
        my ($context, $name, $emit, $emit_context) = @_;
        exists $licenses{$name} ? give($name, $emit, $emit_context) : 0;
    }),
    $ffi->closure(sub {
        my (undef, $name, undef, $content, $size) = unpack 'J5', unpack 'P40', pack 'J', $_[1];
        $licenses{ $ffi->cast(opaque => 'string', $name) } = $size ? unpack("P$size", pack 'J', $content) : '';
        0;
    }),
);
my @types = map { "($_)->sint32" } 'opaque, opaque, opaque', 'opaque, string, opaque, opaque', 'opaque, opaque';
my $store = pack 'J5', 40, 0, map { $ffi->cast($types[$_] => 'opaque', $own[$_]) } 0 .. 2;

# -- what all hosts of the tests do --

sub sentence {
    my $text = "\0" x 1024;
    get_error_message($restorer, address($text), \(my $size = 1024));
    $ffi->cast(opaque => 'string', address($text));
}

sub restore { finish($restorer, restore_licenses($restorer, 0x1000, $on_status, undef)) }

print 'again: ', back_up($restorer, @ARGV[0, 1]), ': ', sentence(), "\n";
set_prop_string($restorer, StorePath   => $ARGV[2]);
set_prop_string($restorer, RestorePath => $ARGV[1]);
print 'restore: ', restore(), "\n";
set_store($restorer, address($store));
print 'into own: ', restore(), "\n";
print 'from own: ', back_up($restorer, @ARGV[0, 3]), "\n";
destroy($restorer);
