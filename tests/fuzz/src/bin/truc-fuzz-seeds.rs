//! Writes the seeds of every target below a folder, one file each: `truc-fuzz-seeds FOLDER`.

use std::io;
use std::path::PathBuf;

use truc_fuzz::{Target, seeds};

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("expected the folder to write to"));
    };
    for target in Target::ALL {
        let folder = folder.join(target.name());
        std::fs::create_dir_all(&folder)?;
        let seeds = seeds(target);
        for (name, input) in &seeds {
            std::fs::write(folder.join(name), input)?;
        }
        println!("{}: {} seeds", target.name(), seeds.len());
    }
    Ok(())
}
