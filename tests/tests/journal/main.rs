//! A journal that is not what it was, through the real daemon beside the real cluster: gone, of another
//! version, or on a disk without room. In each, what is held stays held, and a person can give it back.

mod disk;
mod lost;
mod versions;
mod world;
