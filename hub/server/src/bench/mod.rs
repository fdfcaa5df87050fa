//! `truc bench`: what this machine can carry. It starts a private RabbitMQ, a fresh ledger and the hub as a process
//! of its own, makes the load, drives the ends, and measures; beside it a bare forwarder moves the same AMQP
//! messages on the same broker in the same run, so that a figure says something on any machine.
//!
//! It checks what it measures: every document is receipted once, delivered once, to the bit, and taken; the ledger
//! balances; the queues are empty after each phase. Otherwise there is no figure but an error. What the figures
//! mean: `docs/reference/performance.md`. What it leaves out: it never judges whether a figure is good.

pub mod backlog;
pub mod broadcast;
pub mod clients;
pub mod documents;
pub mod forwarder;
pub mod load;
pub mod machine;
pub mod plan;
pub mod processes;
pub mod province;
pub mod report;
pub mod stats;
pub mod world;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::Config;
use crate::demo::stage::{Doing, StageError};
use backlog::Backlog;
use broadcast::Broadcast;
use load::Load;
use world::World;

/// What a bench is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The program `truc`, which is hub and forwarder.
    pub program: PathBuf,
    /// What is measured, one after the other.
    pub measurements: Vec<Measurement>,
    /// Where broker and ledger lie; beside the program when `None`.
    pub dir: Option<PathBuf>,
    /// Tell nothing on the way.
    pub quiet: bool,
    /// The configuration of which [`world::measured`] is taken over.
    pub config: Config,
}

/// One measurement.
#[derive(Debug, Clone)]
pub enum Measurement {
    /// Documents a second, or times at a rate, in rounds beside the forwarder.
    Load(Load),
    /// One packet to many.
    Broadcast(Broadcast),
    /// A start with many waiting deliveries.
    Backlog(Backlog),
}

/// What a bench found: for people and for programs.
#[derive(Debug)]
pub struct Found {
    /// Tables.
    pub text: String,
    /// The same and more.
    pub json: Value,
}

/// Measures.
///
/// # Errors
/// [`StageError`] when something could not be set up, was lost, doubled or changed.
pub async fn run(asked: &Asked) -> Result<Found, StageError> {
    let over = world::measured(&asked.config);
    let mut world = World::start(&asked.program, asked.dir.as_deref(), over).await?;
    let (mut loads, mut texts, mut single) = (Vec::new(), Vec::new(), Vec::new());
    for measurement in &asked.measurements {
        let mut told = |what: &str| {
            if !asked.quiet {
                eprintln!("{what}");
            }
        };
        match measurement {
            Measurement::Load(load) => {
                let measured = Box::pin(load::measure(&mut world, load, &mut told)).await?;
                texts.push(format!(
                    "{}\n{}",
                    report::heading(&measured),
                    report::details(&measured)
                ));
                loads.push(measured);
            }
            Measurement::Broadcast(broadcast) => {
                let measured = Box::pin(broadcast::measure(&mut world, broadcast, &mut told)).await?;
                texts.push(report::broadcast(&measured));
                single.push(json!({ "broadcast": measured }));
            }
            Measurement::Backlog(backlog) => {
                let measured = Box::pin(backlog::measure(&mut world, backlog, &mut told)).await?;
                texts.push(report::backlog(&measured));
                single.push(json!({ "backlog": measured }));
            }
        }
    }
    if !loads.is_empty() {
        texts.push(report::overview(&loads));
    }
    let (machine, facts) = machine_facts(&world).await?;
    texts.insert(0, machine);
    Ok(Found {
        text: texts.join("\n\n"),
        json: json!({ "machine": facts, "cells": report::as_json(&loads), "single": single }),
    })
}

/// The machine and the broker, for people and for programs.
async fn machine_facts(world: &World) -> Result<(String, Value), StageError> {
    let version = world.node.version().await.doing("asking RabbitMQ")?;
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let build = if cfg!(debug_assertions) {
        "; BẢN DỰNG ĐỂ GỠ LỖI (debug build), số đo không có ý nghĩa"
    } else {
        ""
    };
    let text = format!(
        "{processors} bộ xử lý, RabbitMQ {version}, {}{build}",
        world.dir.0.display()
    );
    let json = json!({
        "processors": processors,
        "rabbitmq": version,
        "truc": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
    });
    Ok((text, json))
}
