#![no_main]

// A panic of the parser is caught, and means a damaged file: so it has to unwind. What is not caught still
// ends the fuzzer.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))),
    |data: &[u8]| truc_fuzz::pdf(data)
);
