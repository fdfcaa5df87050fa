#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| truc_fuzz::seal(data));
