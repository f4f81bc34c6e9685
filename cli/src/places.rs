//! Where files go: directories are made and written in one way only, so that the same place always
//! has the same name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::exit::Fault;

/// Directories by the name they were given, each looked up once: a list names the same one often.
#[derive(Default)]
pub(crate) struct Places {
    directories: HashMap<PathBuf, PathBuf>,
}

impl Places {
    /// The canonical name of a directory, which is made when it is missing.
    pub(crate) fn directory(&mut self, path: &Path) -> Result<PathBuf, Fault> {
        if let Some(known) = self.directories.get(path) {
            return Ok(known.clone());
        }
        let fault = |error| {
            let path = path.display();
            Fault::File(format!(
                "the directory {path} can not be used: {error}; name another one"
            ))
        };
        std::fs::create_dir_all(path).map_err(fault)?;
        let canonical = std::fs::canonicalize(path).map_err(fault)?;
        self.directories
            .insert(path.to_path_buf(), canonical.clone());
        Ok(canonical)
    }

    /// The place of a file that is named within a directory; what lies between is made.
    pub(crate) fn file_in(&mut self, directory: &Path, name: &str) -> Result<PathBuf, Fault> {
        let path = directory.join(name);
        let (Some(parent), Some(file_name)) = (path.parent(), path.file_name()) else {
            return Err(Fault::Usage(format!(
                "out={name} names no file; give a name such as out=file.bin"
            )));
        };
        Ok(self.directory(parent)?.join(file_name))
    }

    /// The place of a file that is named by itself; its directory has to be there.
    pub(crate) fn file(path: &Path) -> Result<PathBuf, Fault> {
        let shown = path.display();
        if path.as_os_str() == "-" {
            return Err(Fault::Usage(
                "standard output can not be gone on with after a kill; name a file with -o FILE"
                    .to_owned(),
            ));
        }
        let Some(name) = path.file_name() else {
            return Err(Fault::Usage(format!(
                "-o {shown} names no file; use -d for a directory"
            )));
        };
        if path.is_dir() {
            return Err(Fault::Usage(format!(
                "{shown} is a directory; use -d {shown}"
            )));
        }
        let parent = directory_of(path)?;
        if !parent.is_dir() {
            return Err(Fault::File(format!(
                "{} is no directory; choose another place",
                parent.display()
            )));
        }
        Ok(parent.join(name))
    }

    /// The place of a file that is to be read, which must be there. It keeps the name that it was
    /// given, also where that is a link.
    pub(crate) fn source(path: &Path) -> Result<PathBuf, Fault> {
        let shown = path.display();
        if path.as_os_str() == "-" {
            return Err(Fault::Usage(
                "standard input can not be gone on with after a kill; name a file".to_owned(),
            ));
        }
        let file = std::fs::metadata(path).map_err(|error| {
            Fault::File(format!("{shown} can not be read: {error}; check the path"))
        })?;
        let (Some(name), true) = (path.file_name(), file.is_file()) else {
            return Err(Fault::File(format!(
                "{shown} is no file; only files can be gone on with after a kill"
            )));
        };
        Ok(directory_of(path)?.join(name))
    }
}

/// The canonical name of the directory that a path lies in, which has to be there.
fn directory_of(path: &Path) -> Result<PathBuf, Fault> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    std::fs::canonicalize(parent).map_err(|error| {
        let parent = parent.display();
        Fault::File(format!(
            "the directory {parent} can not be used: {error}; make it first"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_name() {
        let root = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(root.path()).unwrap();
        std::os::unix::fs::symlink(&root, root.join("link")).unwrap();
        let mut places = Places::default();
        let made = places.directory(&root.join("a/b")).unwrap();
        assert!(made.is_dir());
        assert_eq!(places.directory(&root.join("link/a/./b")).unwrap(), made);
        assert_eq!(places.file_in(&made, "../c/f").unwrap(), root.join("a/c/f"));
        assert_eq!(Places::file(&root.join("link/f")).unwrap(), root.join("f"));
        std::fs::write(root.join("f"), "").unwrap();
        std::os::unix::fs::symlink("f", root.join("g")).unwrap();
        let source = Places::source(&root.join("link/./a/../g")).unwrap();
        assert_eq!(source, root.join("g"));
    }

    #[test]
    fn what_is_no_place_for_a_file_is_refused_with_the_next_step() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let table = [
            (Places::source(Path::new("-")), 2),
            (Places::source(Path::new("..")), 3),
            (Places::source(root.path()), 3),
            (Places::source(Path::new("/dev/null")), 3),
            (Places::source(&root.path().join("missing")), 3),
            (Places::source(&root.path().join("file/f")), 3),
            (Places::file(Path::new("-")), 2),
            (Places::file(Path::new("/")), 2),
            (Places::file(root.path()), 2),
            (Places::file(&root.path().join("missing/f")), 3),
            (Places::file(&root.path().join("file/f")), 3),
            (Places::default().directory(&root.path().join("file")), 3),
            (Places::default().file_in(root.path(), ".."), 2),
        ];
        for (index, (result, code)) in table.into_iter().enumerate() {
            let fault = result.unwrap_err();
            assert_eq!(fault.exit().code(), code, "{index}: {fault}");
            assert!(
                fault.to_string().contains(';'),
                "{fault} names no next step"
            );
        }
    }
}
