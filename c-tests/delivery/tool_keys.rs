//! The keys that the command-line tool takes: those of encrypted backups, and those of an account of
//! object storage.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use crate::harness::*;
use crate::tool::{check, tool, write};

/// A backup is encrypted, and read with the keys of a file; the passphrase is asked for on a terminal.
#[test]
fn encrypted() {
    let recipient = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    let identity = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    let place = scratch();
    write(&place.join("store/a.lic"), "text");
    write(&place.join("key.txt"), format!("# a key\n{identity}\n"));
    write(&place.join("recipients"), format!("{recipient}\n"));
    fs::create_dir(place.join("backups")).unwrap();
    let file = place.join("backups/licenses.tar.zst.age");
    for option in [
        ["--recipient", recipient],
        ["--recipients-file", "recipients"],
    ] {
        let ours = [&["backup"], &option[..], &["store", "backups"]].concat();
        check(&ours, &place, 0, &["Backed up 1"]);
        let (_, text) = run(&mut tool(&ours, &place));
        assert!(text.contains("use --overwrite"), "{text}");
        let (_, text) = run(&mut tool(
            &["backup", "--overwrite", "store", "backups"],
            &place,
        ));
        assert!(
            text.contains("is encrypted") && !text.contains("use --overwrite"),
            "{text}"
        );
        check(
            &["verify", "backups"],
            &place,
            1,
            &["DECRYPTION_FAILED", "use --identity"],
        );
        for command in ["verify", "list", "info"] {
            let read = [command, "--identity", "key.txt", "backups"];
            expect(&mut tool(&read, &place));
        }
        let over = ["--overwrite", "--verify", "--identity", "key.txt"];
        let ours = [&["backup"], &over[..], &option[..], &["store", "backups"]].concat();
        check(&ours, &place, 0, &["Verified 1"]);
        fs::remove_file(&file).unwrap();
    }
    let (status, text) = run(&mut tool(
        &["backup", "--recipient", "age1", "store", "backups"],
        &place,
    ));
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains("Recipients: takes age recipients"), "{text}");
    let ask = ["backup", "--passphrase", "store", "backups"];
    let mut without = Command::new("setsid");
    without
        .arg("-w")
        .arg(stage().join("bin/licbak"))
        .args(ask)
        .current_dir(&place);
    let (status, text) = run(&mut without);
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains("no terminal"), "{text}");
    let typed = "import os, pty, sys\n\
        process, terminal = pty.fork()\n\
        if process == 0: os.execvp(sys.argv[2], sys.argv[2:])\n\
        shown = b''\n\
        try:\n\
        \x20   while part := os.read(terminal, 100):\n\
        \x20       shown += part\n\
        \x20       if part.endswith(b': '): os.write(terminal, os.fsencode(sys.argv[1]) + b'\\n')\n\
        except OSError: pass\n\
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])\n\
        sys.exit(f'{code} {shown}' if code or os.fsencode(sys.argv[1]) in shown else 0)\n";
    let type_it = |words: &str, command: &[&str]| {
        let mut python = Command::new("python3");
        python
            .args(["-c", typed, words])
            .arg(stage().join("bin/licbak"));
        run(python.args(command).current_dir(&place))
    };
    for command in [&ask[..], &["verify", "--passphrase", "backups"]] {
        let (status, text) = type_it("Gänsefüßchen and more", command);
        assert!(status.success(), "{text}");
    }
    let (status, text) = type_it("another", &["info", "--passphrase", "backups"]);
    assert!(
        !status.success() && text.contains("DECRYPTION_FAILED"),
        "{text}"
    );
    fs::remove_dir_all(place).unwrap();
}

/// The account of an object store is what the options say, and else where AWS's own programs look.
#[test]
fn account() {
    let place = scratch();
    write(&place.join("store/a.lic"), "text");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // A store that refuses whatever it is asked, and gives what it was asked.
    let asked = thread::spawn(move || {
        let answer = b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let requests = (0..3).map(|_| {
            let (mut stream, mut request) = (listener.accept().unwrap().0, Vec::new());
            while !request.ends_with(b"\r\n\r\n") {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).unwrap();
                request.extend(part.iter().take(read));
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(request).unwrap()
        });
        requests.collect::<Vec<_>>()
    });
    let refused = |words: &[&str], variables: &[(&str, &str)]| {
        let mut tool = tool(words, &place);
        for name in [
            "ENDPOINT_URL",
            "ENDPOINT_URL_S3",
            "REGION",
            "DEFAULT_REGION",
            "SESSION_TOKEN",
        ] {
            tool.env_remove(format!("AWS_{name}"));
        }
        tool.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .envs(variables.iter().copied());
        let (status, text) = run(&mut tool);
        assert_eq!(status.code(), Some(1), "{text}");
        text
    };
    let denied = |text: String| assert!(text.contains("E_ACCESSDENIED"), "{text}");
    let given = ["--endpoint", &endpoint, "--region", "one-1"];
    let backup = ["store", "s3://bucket/host"];
    denied(refused(
        &[&["backup"], &given[..], &backup[..]].concat(),
        &[],
    ));
    let variables = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("AWS_ENDPOINT_URL", "http://nobody.invalid"),
        ("AWS_REGION", "two-2"),
        ("AWS_DEFAULT_REGION", "three-3"),
        ("AWS_SESSION_TOKEN", "token"),
    ];
    denied(refused(&["verify", "s3://bucket/host"], &variables));
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ENDPOINT_URL_S3", ""),
        ("AWS_DEFAULT_REGION", "three-3"),
    ];
    denied(refused(&["info", "s3://bucket/host"], &variables));
    let requests = asked.join().unwrap();
    for (request, region) in requests.iter().zip(["one-1", "two-2", "three-3"]) {
        assert!(
            request.starts_with("GET /bucket/host/licenses.tar.zst"),
            "{request}"
        );
        assert!(request.contains("Credential=AKIDEXAMPLE/"), "{request}");
        assert!(
            request.contains(&format!("/{region}/s3/aws4_request")),
            "{request}"
        );
        assert_eq!(
            request.contains("x-amz-security-token: token"),
            region == "two-2"
        );
    }
    let text = refused(&["list", "s3://bucket/host"], &[]);
    assert!(text.contains("Region is not set"), "{text}");
    let (status, text) = run(&mut tool(
        &["list", "--endpoint", "nowhere", "s3://bucket"],
        &place,
    ));
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains("Endpoint: needs an address"), "{text}");
    fs::remove_dir_all(place).unwrap();
}
