//! The transport against a real RabbitMQ (a private node), and the same behaviour from the twin in memory.
mod node;
