#![no_main]

libfuzzer_sys::fuzz_target!(|content: &[u8]| licbak::parsers::encrypted(content));
