//! Scenarios against a private RabbitMQ, hubs and adapters in processes of their own.

mod broker;
mod certificates;
mod crash;
mod demo;
mod faults;
mod journey;
mod operator;
mod permissions;
mod postgres;
mod python;
mod refusals;
mod signatures;
mod window;
