//! Digests two messages at once with the instructions of x86 for SHA-256.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: SHA256RNDS2,
//! SHA256MSG1 and SHA256MSG2, whose operands are laid out as here.

use std::arch::x86_64::*;

use sha2::block_api::compress256;

/// Bytes of a block, FIPS 180-4, 5.2.1.
const BLOCK: usize = 64;
/// The place of the message's length in its last block, FIPS 180-4, 5.1.1.
const LENGTH: usize = BLOCK - 8;
/// The first state, FIPS 180-4, 5.3.3.
const INITIAL: [u32; 8] = [
    0x6A09_E667,
    0xBB67_AE85,
    0x3C6E_F372,
    0xA54F_F53A,
    0x510E_527F,
    0x9B05_688C,
    0x1F83_D9AB,
    0x5BE0_CD19,
];

/// The constants of FIPS 180-4, 4.2.2; four to a step.
static CONSTANTS: [[u32; 4]; 16] = [
    [0x428A_2F98, 0x7137_4491, 0xB5C0_FBCF, 0xE9B5_DBA5],
    [0x3956_C25B, 0x59F1_11F1, 0x923F_82A4, 0xAB1C_5ED5],
    [0xD807_AA98, 0x1283_5B01, 0x2431_85BE, 0x550C_7DC3],
    [0x72BE_5D74, 0x80DE_B1FE, 0x9BDC_06A7, 0xC19B_F174],
    [0xE49B_69C1, 0xEFBE_4786, 0x0FC1_9DC6, 0x240C_A1CC],
    [0x2DE9_2C6F, 0x4A74_84AA, 0x5CB0_A9DC, 0x76F9_88DA],
    [0x983E_5152, 0xA831_C66D, 0xB003_27C8, 0xBF59_7FC7],
    [0xC6E0_0BF3, 0xD5A7_9147, 0x06CA_6351, 0x1429_2967],
    [0x27B7_0A85, 0x2E1B_2138, 0x4D2C_6DFC, 0x5338_0D13],
    [0x650A_7354, 0x766A_0ABB, 0x81C2_C92E, 0x9272_2C85],
    [0xA2BF_E8A1, 0xA81A_664B, 0xC24B_8B70, 0xC76C_51A3],
    [0xD192_E819, 0xD699_0624, 0xF40E_3585, 0x106A_A070],
    [0x19A4_C116, 0x1E37_6C08, 0x2748_774C, 0x34B0_BCB5],
    [0x391C_0CB3, 0x4ED8_AA4A, 0x5B9C_CA4F, 0x682E_6FF3],
    [0x748F_82EE, 0x78A5_636F, 0x84C8_7814, 0x8CC7_0208],
    [0x90BE_FFFA, 0xA450_6CEB, 0xBEF9_A3F7, 0xC671_78F2],
];
/// Steps that come before the words of all other steps are known.
const EARLY: usize = 12;

/// Proof that the processor has these instructions.
pub struct Two(());

impl Two {
    pub fn detect() -> Option<Two> {
        let has_all = is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1");
        has_all.then_some(Two(()))
    }

    /// Calls `take` with the number and the digest of each message, as each is finished.
    pub fn digest<'m>(
        &self,
        messages: impl Iterator<Item = (usize, &'m [u8])>,
        mut take: impl FnMut(usize, [u8; 32]),
    ) {
        let mut begun = messages.map(|(number, message)| Begun::new(number, message));
        let (mut one, mut other) = (begun.next(), begun.next());
        while let (Some(a), Some(b)) = (&mut one, &mut other) {
            let count = a.piece().len().min(b.piece().len());
            let blocks = a.piece().iter().zip(b.piece());
            // SAFETY: a `Two` is made only where the processor has these instructions.
            let states = unsafe { compress_two([a.state, b.state], blocks) };
            [a.state, b.state] = states;
            a.pass(count);
            b.pass(count);
            for message in [&mut one, &mut other] {
                if let Some(done) = message.take_if(|message| message.piece().is_empty()) {
                    take(done.number, done.digest());
                    *message = begun.next();
                }
            }
        }
        if let Some(mut last) = one.or(other) {
            while !last.piece().is_empty() {
                let mut state = last.state;
                compress256(&mut state, last.piece());
                last.state = state;
                last.pass(last.piece().len());
            }
            take(last.number, last.digest());
        }
    }
}

/// A message that is being digested.
struct Begun<'m> {
    number: usize,
    state: [u32; 8],
    /// The whole blocks that are still to come.
    blocks: &'m [[u8; BLOCK]],
    /// The rest of the message with its padding, in the last `end` blocks.
    padded: [[u8; BLOCK]; 2],
    end: usize,
}

impl<'m> Begun<'m> {
    fn new(number: usize, message: &'m [u8]) -> Begun<'m> {
        let (blocks, rest) = message.as_chunks();
        let end = if rest.len() < LENGTH { 1 } else { 2 };
        let mut padded = [[0; BLOCK]; 2];
        let last = padded
            .as_flattened_mut()
            .get_mut(BLOCK * (2 - end)..)
            .unwrap_or_default();
        let bits = (8 * message.len() as u64).to_be_bytes();
        for (byte, value) in last.iter_mut().zip(rest.iter().chain([&0x80])) {
            *byte = *value;
        }
        if let Some(length) = last.last_chunk_mut() {
            *length = bits;
        }
        Begun {
            number,
            state: INITIAL,
            blocks,
            padded,
            end,
        }
    }

    /// Gives the blocks that come next, none where the message is finished.
    fn piece(&self) -> &[[u8; BLOCK]] {
        match self.blocks.is_empty() {
            false => self.blocks,
            true => self.padded.get(2 - self.end..).unwrap_or_default(),
        }
    }

    /// Skips the first `count` blocks of the piece.
    fn pass(&mut self, count: usize) {
        match self.blocks.is_empty() {
            false => self.blocks = self.blocks.get(count..).unwrap_or_default(),
            true => self.end -= count,
        }
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

/// Compresses the blocks into both states, pair by pair.
#[target_feature(enable = "sha,sse4.1")]
fn compress_two<'b>(
    [a, b]: [[u32; 8]; 2],
    blocks: impl Iterator<Item = (&'b [u8; BLOCK], &'b [u8; BLOCK])>,
) -> [[u32; 8]; 2] {
    let (mut a, mut b) = (State::new(a), State::new(b));
    let (early, late) = CONSTANTS.split_at(EARLY);
    for (block_a, block_b) in blocks {
        let before = (a, b);
        let (mut words_a, mut words_b) = (Words::new(block_a), Words::new(block_b));
        for four in early {
            a.step(words_a.next(), four);
            b.step(words_b.next(), four);
        }
        for four in late {
            a.step(words_a.last(), four);
            b.step(words_b.last(), four);
        }
        a.add(before.0);
        b.add(before.1);
    }
    [a.words(), b.words()]
}

/// The eight words of a state, from right to left in each vector: f, e, b, a and h, g, d, c.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

impl State {
    #[target_feature(enable = "sha,sse4.1")]
    fn new(words: [u32; 8]) -> State {
        let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
        State {
            abef: _mm_set_epi32(a, b, e, f),
            cdgh: _mm_set_epi32(c, d, g, h),
        }
    }

    #[target_feature(enable = "sha,sse4.1")]
    fn words(self) -> [u32; 8] {
        let (x, y) = (self.abef, self.cdgh);
        let words = [
            _mm_extract_epi32::<3>(x),
            _mm_extract_epi32::<2>(x),
            _mm_extract_epi32::<3>(y),
            _mm_extract_epi32::<2>(y),
            _mm_extract_epi32::<1>(x),
            _mm_extract_epi32::<0>(x),
            _mm_extract_epi32::<1>(y),
            _mm_extract_epi32::<0>(y),
        ];
        words.map(i32::cast_unsigned)
    }

    /// Does four rounds; two of them make the old `abef` the new `cdgh`.
    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn step(&mut self, words: __m128i, constants: &[u32; 4]) {
        let [k0, k1, k2, k3] = constants.map(u32::cast_signed);
        let sums = _mm_add_epi32(words, _mm_set_epi32(k3, k2, k1, k0));
        self.cdgh = _mm_sha256rnds2_epu32(self.cdgh, self.abef, sums);
        let sums = _mm_shuffle_epi32::<0b1110>(sums);
        self.abef = _mm_sha256rnds2_epu32(self.abef, self.cdgh, sums);
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn add(&mut self, before: State) {
        self.abef = _mm_add_epi32(self.abef, before.abef);
        self.cdgh = _mm_add_epi32(self.cdgh, before.cdgh);
    }
}

/// The next sixteen words of the message schedule, FIPS 180-4, 6.2.2.
struct Words([__m128i; 4]);

impl Words {
    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn new(block: &[u8; BLOCK]) -> Words {
        let mut words = [_mm_setzero_si128(); 4];
        for (words, bytes) in words.iter_mut().zip(block.as_chunks().0) {
            let [low, high] = u128_halves(u128::from_le_bytes(*bytes));
            let big_endian = _mm_set_epi64x(0x0C0D_0E0F_0809_0A0B, 0x0405_0607_0001_0203);
            *words = _mm_shuffle_epi8(_mm_set_epi64x(high, low), big_endian);
        }
        Words(words)
    }

    /// Gives the next four words, where the four that come sixteen words later are still to be
    /// computed.
    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn next(&mut self) -> __m128i {
        let [first, second, third, fourth] = self.0;
        let sums = _mm_alignr_epi8::<4>(fourth, third);
        let sums = _mm_add_epi32(_mm_sha256msg1_epu32(first, second), sums);
        self.0 = [second, third, fourth, _mm_sha256msg2_epu32(sums, fourth)];
        first
    }

    /// Gives the next four words, where all are computed.
    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn last(&mut self) -> __m128i {
        let [first, second, third, fourth] = self.0;
        self.0 = [second, third, fourth, first];
        first
    }
}

fn u128_halves(value: u128) -> [i64; 2] {
    [value as i64, (value >> 64) as i64]
}
