//! Worlds in which an authority is kept.

mod damage;
mod histories;
mod steps;
mod world;
