//! What packages may look like, and what becomes of them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::{
    Language, Limits, Package, Refusal,
    crafted::{End, Raw, deflated, folder, stored, zip, zip_with},
    extract, inspect,
};

pub(super) fn look(bytes: &[u8], main_file: &str, limits: &Limits) -> Result<Package, String> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("package.zip");
    fs::write(&path, bytes).unwrap();
    inspect(&path, limits, main_file, Language::Python).map_err(sentence)
}

pub(super) fn sentence(refusal: Refusal) -> String {
    match refusal {
        Refusal::Content(sentence) => sentence,
        Refusal::Io(error) => panic!("not the package's fault: {error}"),
    }
}

fn accept(entries: &[Raw]) -> Package {
    look(&zip(entries), "", &Limits::default()).unwrap()
}

#[test]
fn a_folder_of_any_name_is_the_root() {
    let package =
        accept(&[folder("my model/"), deflated("my model/deployment.py", "x = 1"), stored("my model/b", "12")]);

    assert_eq!((package.root.as_str(), package.files, package.unpacked_bytes), ("my model", 2, 7));
    assert_eq!((package.main_file.as_str(), package.language), ("deployment.py", Language::Python));
    assert_eq!(package.sha256.len(), 64);
}

#[test]
fn of_several_folders_deployment_package_is_the_root() {
    let package = accept(&[stored("a/x", ""), stored("deployment_package/deployment.R", ""), stored("z/x", "")]);

    assert_eq!((package.root.as_str(), package.language.name(), package.files), ("deployment_package", "r", 1));
}

#[test]
fn files_at_the_top_work_beside_folders() {
    let package = accept(&[stored("./deployment.py", ""), stored("libraries/a.py", ""), stored("other/b.py", "")]);

    assert_eq!((package.root.as_str(), package.files), ("", 3));
}

#[test]
fn what_operating_systems_add_is_no_root_and_no_file() {
    let package =
        accept(&[stored("m/deployment.py", ""), stored("__MACOSX/m/._deployment.py", ""), stored(".DS_Store", "")]);

    assert_eq!((package.root.as_str(), package.files), ("m", 1));
}

#[test]
fn another_main_file_is_found_with_and_without_its_extension() {
    let bytes = zip(&[stored("m/serve.py", "")]);

    for name in ["serve", "serve.py"] {
        assert_eq!(look(&bytes, name, &Limits::default()).unwrap().main_file, "serve.py");
    }
    let refusal = look(&bytes, "", &Limits::default()).unwrap_err();
    assert_eq!(refusal, "The package has no file 'deployment.py' or 'deployment.R' in its folder 'm'");
    let refusal = look(&bytes, "serve.R", &Limits::default()).unwrap_err();
    assert_eq!(refusal, "The package has no file 'serve.R' in its folder 'm'");
    let refusal = look(&bytes, "../serve", &Limits::default()).unwrap_err();
    assert_eq!(refusal, "'../serve' is not a name for a main file");
}

#[test]
fn dependency_files_of_the_root_come_with_their_text() {
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain("six\r\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let package = accept(&[
        stored("m/ubiops.yaml", "\u{feff}a: 1"),
        stored("m/requirements.txt", utf16),
        stored("m/deployment.py", ""),
        stored("m/libraries/renv.lock", "not in the root"),
    ]);

    let names: Vec<&str> = package.dependencies.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["requirements.txt", "ubiops.yaml"]);
    assert_eq!(package.dependency("requirements.txt"), Some("six\r\n"));
    assert_eq!(package.dependency("ubiops.yaml"), Some("a: 1"));
}

#[test]
fn a_64_bit_end_record_and_a_comment_are_read() {
    let end = End { entries_64: Some(1), entries: Some(u16::MAX), comment: b"made by hand".to_vec(), ..End::default() };

    let package = look(&zip_with(&[stored("deployment.py", "")], &end), "", &Limits::default()).unwrap();

    assert_eq!(package.files, 1);
}

#[test]
fn zips_of_another_writer_are_read() {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = zip::ZipWriter::new(&mut bytes);
    let options = zip::write::SimpleFileOptions::default().large_file(true);
    writer.start_file("m/deployment.py", options).unwrap();
    std::io::Write::write_all(&mut writer, b"print('hello')\n").unwrap();
    writer.finish().unwrap();

    let package = look(&bytes.into_inner(), "", &Limits::default()).unwrap();

    assert_eq!((package.files, package.unpacked_bytes), (1, 15));
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn extract_writes_what_lies_below_the_root_with_plain_modes() {
    let home = tempfile::tempdir().unwrap();
    let (zip_path, dest) = (home.path().join("p.zip"), home.path().join("code"));
    let script = Raw { mode: 0o104_711, ..deflated("m/bin/run.sh", "#!/bin/sh\n") };
    let open = Raw { mode: 0o100_600, ..stored("m/deployment.py", "x = 1") };
    fs::write(&zip_path, zip(&[open, script, folder("m/empty/"), stored("README", "")])).unwrap();
    fs::create_dir_all(home.path().join("code.unpacking/left/behind")).unwrap();

    extract(&zip_path, "m", &dest, &Limits::default()).unwrap();
    extract(&zip_path, "m", &dest, &Limits::default()).unwrap();

    assert_eq!(fs::read_to_string(dest.join("deployment.py")).unwrap(), "x = 1");
    assert_eq!(mode(&dest.join("deployment.py")), 0o644);
    assert_eq!(mode(&dest.join("bin/run.sh")), 0o755);
    assert_eq!(mode(&dest.join("empty")), 0o755);
    assert_eq!(mode(&dest), 0o755);
    assert!(!dest.join("README").exists());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "the zip and the folder, nothing else");
}

#[test]
fn a_broken_package_leaves_no_folder() {
    let home = tempfile::tempdir().unwrap();
    let zip_path = home.path().join("p.zip");
    let broken = Raw { crc: 7, ..stored("deployment.py", "x = 1") };
    fs::write(&zip_path, zip(&[stored("a", ""), broken])).unwrap();

    let refusal = extract(&zip_path, "", &home.path().join("code"), &Limits::default()).unwrap_err();

    assert_eq!(sentence(refusal), "The zip's entry 'deployment.py' is damaged");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}
