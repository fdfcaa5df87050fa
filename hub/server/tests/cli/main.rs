//! The program `truc` from outside: every command by its output and exit code; what needs a broker, on a
//! private node of RabbitMQ.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic is the failure")]

mod broker;
mod directory;
mod documents;
mod limits;
mod operator;
mod packets;
mod place;
mod reorganise;
mod retention;

use clap::CommandFactory as _;

use place::Place;

#[test]
fn every_command_has_help_with_an_example() {
    let place = Place::new();
    let mut commands = vec![(Vec::<String>::new(), truc_server::cli::Cli::command())];
    let mut seen = 0;
    while let Some((path, command)) = commands.pop() {
        for below in command.get_subcommands() {
            let mut path = path.clone();
            path.push(below.get_name().to_owned());
            commands.push((path, below.clone()));
        }
        let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
        arguments.push("--help");
        place
            .run(&arguments)
            .ends(0)
            .says(&["Usage: truc", "Examples:", "--config", "--json"]);
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
    place.run(&["--version"]).ends(0).says(&["truc "]);
    assert_eq!(place.run(&["nonsense"]).ends(2).out(), "");
    assert_eq!(place.run(&[]).ends(2).out(), "");
}

#[test]
fn a_configuration_is_checked() {
    let place = Place::new();
    place
        .run(&["check-config"])
        .ends(0)
        .says(&["Cấu hình đúng.", "truc.db"]);
    let printed = place.run(&["check-config", "--print"]).ends(0).out();
    assert!(
        printed.contains("connect_timeout_ms = 5000") && printed.contains("window = "),
        "{printed}"
    );

    let bad = place.write(
        "bad.toml",
        "[delivery]\nwindow = 0\n[broker]\nurl = \"http://x\"\n",
    );
    place.run(&["check-config", "--config", &bad]).ends(1).says(&[
        "LỖI",
        "delivery.window",
        "broker.url",
        "→ ",
    ]);
    let json = place.json(&["check-config", "--config", &bad], 1);
    assert_eq!(json["ok"], false);
    assert!(json["problems"].as_array().unwrap().len() >= 2, "{json}");

    let unknown = place.write("unknown.toml", "[delivery]\nwindows = 1\n");
    place
        .run(&["check-config", "--config", &unknown])
        .ends(1)
        .says(&["windows"]);
    place
        .run(&["check-config", "--config", "missing.toml"])
        .troubles(&["missing.toml"]);
    place
        .run(&["document", "list", "--config", &bad])
        .troubles(&["delivery.window"]);
}

#[test]
fn migrate_makes_the_tables_once() {
    let place = Place::new();
    place.run(&["document", "list"]).troubles(&["truc migrate"]);
    assert!(
        !place.path("truc.db").exists(),
        "a question must not make a ledger"
    );
    place.run(&["migrate"]).ends(0).says(&["Đã tạo sổ cái mới"]);
    place.run(&["migrate"]).ends(0).says(&["không có gì phải làm"]);
    assert_eq!(place.json(&["migrate"], 0)["changed"], false);
    place
        .run(&["document", "list"])
        .ends(0)
        .says(&["Không có văn bản nào."]);
}

#[test]
fn serve_says_why_it_cannot_start() {
    let place = Place::new();
    place.run(&["serve"]).troubles(&["truc migrate"]);
    place.run(&["migrate"]).ends(0);

    // A broker that is not there is waited for, and said; a signal ends the wait in good order.
    let log = place.path("serve.log");
    let mut hub = place
        .command(&["serve"])
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    while !std::fs::read_to_string(&log)
        .unwrap()
        .contains("waiting for the broker")
    {
        assert!(hub.try_wait().unwrap().is_none(), "serve ended by itself");
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(hub.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(hub.wait().unwrap().success());
}
