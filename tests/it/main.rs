//! Scenarios against a private RabbitMQ, hubs and adapters in processes of their own.

mod bench;
mod bodies;
mod broker;
mod certificates;
mod cluster;
mod crash;
mod demo;
mod faults;
mod journey;
mod operator;
mod permissions;
mod postgres;
mod python;
mod refusals;
mod scale;
mod signatures;
mod tls;
mod transfers;
mod window;
