//! Counts words, which are runs of ASCII letters:
//!
//!     rustc --target wasm32-unknown-unknown -O --crate-type cdylib -o wc.wasm wc.rs
//!     mraws run --app wc.wasm --nreduce 2 book.txt

/// What the host gives, what is returned to it, and the word at hand, whose values may
/// go on in the next batch, with their sum. The host calls one function at a time.
struct Guest {
    input: Vec<u8>,
    output: Vec<u8>,
    word: Option<Vec<u8>>,
    sum: u64,
}

static mut GUEST: Guest = Guest { input: Vec::new(), output: Vec::new(), word: None, sum: 0 };

fn guest() -> &'static mut Guest {
    unsafe { &mut *std::ptr::addr_of_mut!(GUEST) }
}

#[link(wasm_import_module = "mraws")]
extern "C" {
    #[link_name = "fail"]
    fn mraws_fail(text: *const u8, n: u32) -> !;
}

/// Ends the attempt with this text.
fn fail(text: &str) -> ! {
    unsafe { mraws_fail(text.as_ptr(), text.len() as u32) }
}

/// Is where the host puts the next n bytes of input.
#[no_mangle]
pub extern "C" fn mraws_buffer(n: u32) -> *mut u8 {
    let input = &mut guest().input;
    input.resize(n as usize, 0);
    input.as_mut_ptr()
}

/// Writes a pair; a reducer writes a line, as a value without a key.
fn emit(output: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    output.extend_from_slice(&(key.len() as u32).to_le_bytes());
    output.extend_from_slice(&(value.len() as u32).to_le_bytes());
    output.extend_from_slice(key);
    output.extend_from_slice(value);
}

/// Returns what was emitted. It is valid until the next call clears it.
fn done(output: &[u8]) -> u64 {
    (output.as_ptr() as u64) << 32 | output.len() as u64
}

#[no_mangle]
pub extern "C" fn mraws_map(n: u32) -> u64 {
    let g = guest();
    g.output.clear();
    let words = g.input[..n as usize].split(|c| !c.is_ascii_alphabetic());
    for word in words.filter(|w| !w.is_empty()) {
        emit(&mut g.output, word, b"1");
    }
    done(&g.output)
}

/// Adds up the values of each word. The call without bytes is the last.
fn add(n: u32, combine: bool) -> u64 {
    let g = guest();
    g.output.clear();
    let mut rest = &g.input[..n as usize];
    let length = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize;
    while !rest.is_empty() {
        let (k, v) = (length(rest), length(&rest[4..]));
        let (key, value) = (&rest[8..8 + k], &rest[8 + k..8 + k + v]);
        rest = &rest[8 + k + v..];
        if g.word.as_deref() != Some(key) {
            tell(&g.word, g.sum, &mut g.output, combine);
            g.word = Some(key.to_vec());
            g.sum = 0;
        }
        match std::str::from_utf8(value).ok().and_then(|s| s.parse::<u64>().ok()) {
            Some(count) => g.sum += count,
            None => fail("a count is no number"),
        }
    }
    if n == 0 {
        tell(&g.word, g.sum, &mut g.output, combine);
        g.word = None;
    }
    done(&g.output)
}

/// Emits the word at hand, if there is one.
fn tell(word: &Option<Vec<u8>>, sum: u64, output: &mut Vec<u8>, combine: bool) {
    if let Some(word) = word {
        if combine {
            emit(output, word, sum.to_string().as_bytes());
        } else {
            emit(output, b"", &[&word[..], b" ", sum.to_string().as_bytes()].concat());
        }
    }
}

#[no_mangle]
pub extern "C" fn mraws_combine(n: u32) -> u64 {
    add(n, true)
}

#[no_mangle]
pub extern "C" fn mraws_reduce(n: u32) -> u64 {
    add(n, false)
}
