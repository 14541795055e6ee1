//! Licences as they are found in the field, made up: the same on every machine, and every one free
//! to be backed up.
//!
//! Of each about half a kilobyte is random, as keys and signatures are. The rest is what licences
//! share: their words with all of their kind, and certificates with those of the same provider.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A generator of random numbers (splitmix64) that will never change.
pub struct Random(u64);

impl Random {
    pub fn new(seeds: [u64; 2]) -> Random {
        let [first, second] = seeds;
        let mut random = Random(first);
        random.0 = random.number() ^ second;
        random
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.number().to_le_bytes());
        words.flatten().take(count).collect()
    }

    fn base64(&mut self, count: usize) -> String {
        STANDARD.encode(self.bytes(count))
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.number(), self.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            high & 0xFFFF,
            (high >> 16) & 0xFFF,
            low >> 52,
            low & 0xFFFF_FFFF_FFFF
        )
    }
}

/// What all licences of a provider have in common.
struct Provider {
    address: String,
    certificate: String,
    blob: Vec<u8>,
}

pub struct License {
    /// In one folder with all others; [`License::folder`] spreads them.
    pub name: String,
    pub folder: u8,
    pub key_id: String,
    pub content: Vec<u8>,
    /// Seconds since 1970.
    pub modified: u64,
}

/// Makes licences.
pub struct Issuer {
    providers: Vec<Provider>,
}

/// Seeds of what belongs to a provider, to a licence for ever, and to a state of a licence.
const PROVIDER: u64 = 1;
const IDENTITY: u64 = 2;
const STATE: u64 = 3;

impl Issuer {
    pub fn new() -> Issuer {
        let provider = |number| {
            let mut random = Random::new([PROVIDER, number]);
            Provider {
                address: format!("https://provider-{number}.example"),
                certificate: random.base64(1050),
                blob: random.bytes(110),
            }
        };
        Issuer {
            providers: (0..12).map(provider).collect(),
        }
    }

    /// The licence of this number. One of another `state` has the same name, key ID and size.
    pub fn license(&self, number: u64, state: u64) -> License {
        let mut identity = Random::new([IDENTITY, number]);
        let mut secrets = Random::new([STATE + state, number]);
        let provider = self.provider(&mut identity);
        let (id, folder) = (identity.uuid(), identity.below(256) as u8);
        let modified = 1_600_000_000 + identity.below(100_000_000);
        let (suffix, key_id, content) = match number % 10 {
            0..6 => lcp(&id, provider, &mut identity, &mut secrets),
            6..9 => wmdrm(&id, provider, &mut identity, &mut secrets),
            _ => xmr(provider, &mut identity, &mut secrets),
        };
        License {
            name: format!("{id}.{suffix}"),
            folder,
            key_id,
            content,
            modified,
        }
    }

    fn provider(&self, identity: &mut Random) -> &Provider {
        let number = identity.below(self.providers.len() as u64) as usize;
        #[allow(clippy::indexing_slicing)] // below their count
        &self.providers[number]
    }
}

type Made = (&'static str, String, Vec<u8>);

/// A Readium LCP licence document.
fn lcp(id: &str, provider: &Provider, identity: &mut Random, secrets: &mut Random) -> Made {
    let Provider {
        address,
        certificate,
        ..
    } = provider;
    let (year, day) = (2019 + identity.below(6), 10 + identity.below(18));
    let mut links = String::new();
    for (relation, kind, path) in [
        (
            "license",
            "application/vnd.readium.lcp.license.v1.0+json",
            "licenses",
        ),
        ("publication", "application/epub+zip", "publications"),
        (
            "status",
            "application/vnd.readium.license.status.v1.0+json",
            "status",
        ),
        (
            "renew",
            "application/vnd.readium.license.status.v1.0+json",
            "renew",
        ),
    ] {
        let _ = write!(
            links,
            r#"{{"rel":"{relation}","href":"{address}/lcp/v1/{path}/{id}","type":"{kind}","templated":false}},"#
        );
    }
    let mut rights = format!(
        r#""print":{},"copy":{}"#,
        identity.below(100),
        identity.below(5000)
    );
    if identity.below(2) == 0 {
        let _ = write!(
            rights,
            r#","start":"{year}-03-{day}T09:30:00Z","end":"{}-03-{day}T09:30:00Z""#,
            year + 1
        );
    }
    let content = format!(
        concat!(
            r#"{{"provider":"{address}","id":"{id}","issued":"{year}-03-{day}T09:30:{second:02}Z","#,
            r#""updated":"{year}-04-{day}T17:05:{second:02}Z","encryption":{{"profile":"http://readium.org/lcp/basic-profile","#,
            r#""content_key":{{"encrypted_value":"{content_key}","algorithm":"http://www.w3.org/2001/04/xmlenc#aes256-cbc"}},"#,
            r#""user_key":{{"text_hint":"The passphrase that you chose in your account","key_check":"{key_check}","#,
            r#""algorithm":"http://www.w3.org/2001/04/xmlenc#sha256"}}}},"links":[{links}"#,
            r#"{{"rel":"hint","href":"{address}/hint?token={token}","type":"text/html"}},{{"rel":"support","href":"mailto:help@provider.example"}}],"#,
            r#""user":{{"id":"{user}","email":"{email}","name":"{name}","encrypted":["email","name"]}},"rights":{{{rights}}},"#,
            r#""signature":{{"certificate":"{certificate}","value":"{signature}","#,
            r#""algorithm":"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"}}}}"#
        ),
        address = address,
        id = id,
        year = year,
        day = day,
        second = identity.below(60),
        content_key = secrets.base64(64),
        key_check = secrets.base64(64),
        links = links,
        user = identity.uuid(),
        email = secrets.base64(64),
        name = secrets.base64(64),
        token = secrets.base64(48),
        rights = rights,
        certificate = certificate,
        signature = secrets.base64(256),
    );
    ("lcpl", id.to_owned(), content.into_bytes())
}

/// A licence of Windows Media DRM 7, which grants its backup.
fn wmdrm(id: &str, provider: &Provider, identity: &mut Random, secrets: &mut Random) -> Made {
    let Provider {
        address,
        certificate,
        ..
    } = provider;
    let key_id = identity.base64(16);
    let mut actions = String::new();
    for (action, condition) in [
        (
            "Play",
            "drmcounter.play == 0 || machine.datetime <= license.expires",
        ),
        ("Print.redbook", "app.minseclevel >= 150"),
        ("Transfer.SDMI", "app.minseclevel >= 1000 && device.SDMI"),
        ("Transfer.NONSDMI", "app.minseclevel >= 2000"),
    ] {
        let _ = write!(
            actions,
            "<ONACTION type=\"{action}\"><CONDITION><![CDATA[{condition}]]></CONDITION>\
             <ACTION><![CDATA[secstore.{action}.count = secstore.{action}.count + 1]]></ACTION></ONACTION>\r\n"
        );
    }
    for _ in 0..identity.below(3) {
        let _ = write!(
            actions,
            "<ONCLOCKROLLBACK><ACTION>deletelicense()</ACTION></ONCLOCKROLLBACK>\r\n"
        );
    }
    let content = format!(
        "<LICENSE version=\"2.0.0.0\">\r\n<LICENSORINFO>\r\n<DATA>\r\n<LID>{{{id}}}</LID>\r\n<KID>{key_id}</KID>\r\n\
         <ISSUEDATE>20{year:02}0{month}{day} 10:20:{second:02}Z</ISSUEDATE>\r\n<PRIORITY>{priority}</PRIORITY>\r\n\
         <CONTENTPUBKEY>{content_key}</CONTENTPUBKEY>\r\n<META><LAINFO>{address}/license/acquire.asp</LAINFO>\
         <Title>Track {track} of a collection</Title><Copyright>All rights reserved</Copyright></META>\r\n\
         <ONACTION type=\"Backup\"/>\r\n<ONSTORE><ACTION><![CDATA[secstore.stored = machine.datetime]]></ACTION></ONSTORE>\r\n\
         {actions}<ENABLINGBITS><ALGORITHM type=\"MSDRM\"></ALGORITHM><PUBKEY type=\"machine\">{public_key}</PUBKEY>\
         <VALUE>{bits}</VALUE><SIGNATURE>{seal}</SIGNATURE></ENABLINGBITS>\r\n</DATA>\r\n\
         <SIGNATURE><HASHALGORITHM type=\"SHA\"></HASHALGORITHM><SIGNALGORITHM type=\"MSDRM\"></SIGNALGORITHM>\
         <VALUE>{signature}</VALUE></SIGNATURE>\r\n<CERTIFICATECHAIN><CERTIFICATE type=\"LICENSOR\">{certificate}</CERTIFICATE>\
         <CERTIFICATE type=\"ROOT\">{root}</CERTIFICATE></CERTIFICATECHAIN>\r\n</LICENSORINFO>\r\n</LICENSE>\r\n",
        year = 3 + identity.below(7),
        month = 1 + identity.below(9),
        day = 10 + identity.below(18),
        second = identity.below(60),
        priority = identity.below(100),
        track = 100 + identity.below(900),
        content_key = secrets.base64(40),
        public_key = secrets.base64(64),
        bits = secrets.base64(192),
        seal = secrets.base64(128),
        signature = secrets.base64(160),
        root = certificate.get(..560).unwrap_or_default(),
    );
    ("lic", key_id, content.into_bytes())
}

/// A licence of PlayReady: a tree of binary objects, one of which is the content key.
fn xmr(provider: &Provider, identity: &mut Random, secrets: &mut Random) -> Made {
    const CONTAINER: u16 = 3;
    const LEAF: u16 = 1;
    let key_id = identity.bytes(16);
    let content_key = [key_id.clone(), vec![0, 1, 0, 3, 0, 128], secrets.bytes(128)].concat();
    let keys = [
        object(LEAF, 0x000A, &content_key),
        object(
            LEAF,
            0x002A,
            &[vec![0, 1, 0, 64], secrets.bytes(64)].concat(),
        ),
    ];
    let policies = [
        object(LEAF, 0x0034, &identity.bytes(8)),
        object(LEAF, 0x0022, &provider.blob),
        object(LEAF, 0x0033, &secrets.bytes(110)),
    ];
    let rights = [object(LEAF, 0x0005, &[0, 200, 0, 150, 0, 100, 0, 75])];
    let tree = [
        object(CONTAINER, 0x0002, &policies.concat()),
        object(CONTAINER, 0x0004, &rights.concat()),
        object(CONTAINER, 0x0009, &keys.concat()),
        object(
            LEAF,
            0x000B,
            &[vec![0, 1, 0, 16], secrets.bytes(16)].concat(),
        ),
    ];
    let header = [b"XMR\0".to_vec(), vec![0, 0, 0, 3], identity.bytes(16)];
    let content = [header.concat(), object(CONTAINER, 0x0001, &tree.concat())].concat();
    ("xmr", STANDARD.encode(key_id), content)
}

fn object(flags: u16, kind: u16, content: &[u8]) -> Vec<u8> {
    let length = (8 + content.len()) as u32;
    let numbers = [flags.to_be_bytes(), kind.to_be_bytes()].concat();
    [&numbers, &length.to_be_bytes()[..], content].concat()
}
