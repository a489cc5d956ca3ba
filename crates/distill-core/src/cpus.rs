//! The CPUs that this process may use: those in its affinity mask, limited by the quotas of its control groups.

use std::path::{Path, PathBuf};

/// What this process may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Cpus {
    /// CPUs in the affinity mask.
    pub allowed: usize,
    /// The smallest quota of the control groups that this process is in.
    pub quota: Option<Quota>,
}

/// CPU time a control group grants, in CPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Such as 1.5.
    pub cpus: f64,
    /// The file that sets it.
    pub file: PathBuf,
}

impl Cpus {
    /// Asks the system.
    pub fn of_this_process() -> Self {
        let mut cpus = Self::below(Path::new("/"));
        // The standard library's answer counts too: it asks the kernel, not a file.
        let known = std::thread::available_parallelism().map_or(1, usize::from);
        if cpus.usable() > known {
            cpus.allowed = known;
        }
        cpus
    }

    /// Threads that can compute at once: whole CPUs, at least one.
    pub fn usable(&self) -> usize {
        let granted = self.quota.as_ref().map_or(usize::MAX, |quota| quota.cpus.floor().max(1.0) as usize);
        self.allowed.min(granted).max(1)
    }

    /// For people: where the number comes from.
    pub fn describe(&self) -> String {
        let mask = format!("affinity mask: {}", self.allowed);
        match &self.quota {
            Some(Quota { cpus, file }) => format!("{mask}; quota: {cpus:.2} CPUs in {}", file.display()),
            None => format!("{mask}; no CPU quota"),
        }
    }

    /// As [`Cpus::of_this_process`], with `/proc` and `/sys` below `root`.
    fn below(root: &Path) -> Self {
        let status = read(&root.join("proc/self/status"));
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Cpus { allowed: list.and_then(|list| count(list.trim())).unwrap_or(usize::MAX), quota: quota(root) }
    }
}

/// Numbers in a list such as `0-3,8`.
fn count(list: &str) -> Option<usize> {
    let part = |part: &str| -> Option<usize> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    list.split(',').map(part).sum()
}

/// A hierarchy of control groups that can limit CPU time.
struct Hierarchy {
    /// Where it is mounted.
    mount: PathBuf,
    /// The group at that mount point.
    top: PathBuf,
    is_version_2: bool,
}

fn quota(root: &Path) -> Option<Quota> {
    let groups = read(&root.join("proc/self/cgroup"));
    let mounts = read(&root.join("proc/self/mountinfo"));
    let hierarchies = mounts.lines().filter_map(hierarchy);
    let quotas = hierarchies.flat_map(|hierarchy| hierarchy.quotas(root, &groups));
    quotas.min_by(|left, right| left.cpus.total_cmp(&right.cpus))
}

/// A line of `mountinfo`: `36 35 98:0 /top /mount rw … - TYPE source super,options`.
fn hierarchy(line: &str) -> Option<Hierarchy> {
    let (mount, system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (top, mount) = (PathBuf::from(fields.next()?), PathBuf::from(fields.next()?));
    let mut system = system.split(' ');
    match (system.next()?, system.nth(1)?) {
        ("cgroup2", _) => Some(Hierarchy { mount, top, is_version_2: true }),
        ("cgroup", options) if options.split(',').any(|option| option == "cpu") => {
            Some(Hierarchy { mount, top, is_version_2: false })
        }
        _ => None,
    }
}

impl Hierarchy {
    /// The quotas of this process's group and of all above it: the kernel applies each.
    fn quotas(&self, root: &Path, groups: &str) -> Vec<Quota> {
        let Some(group) = groups.lines().find_map(|line| self.group(line)) else { return Vec::new() };
        let below = group.strip_prefix(&self.top).unwrap_or(Path::new(""));
        let directories = below.ancestors().map(|part| self.mount.join(part));
        directories.filter_map(|directory| self.quota_of(root, &directory)).collect()
    }

    /// The group that a line of `/proc/self/cgroup` names, `ID:CONTROLLERS:GROUP`, if it is of this hierarchy.
    fn group<'a>(&self, line: &'a str) -> Option<&'a Path> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        let is_own = match self.is_version_2 {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|controller| controller == "cpu"),
        };
        is_own.then_some(Path::new(group))
    }

    fn quota_of(&self, root: &Path, directory: &Path) -> Option<Quota> {
        let text = |name: &str| read(&root.join(directory.strip_prefix("/").unwrap_or(directory)).join(name));
        let (name, limit, period) = if self.is_version_2 {
            let limits = text("cpu.max");
            let (limit, period) = limits.trim().split_once(' ')?;
            ("cpu.max", limit.to_owned(), period.to_owned())
        } else {
            ("cpu.cfs_quota_us", text("cpu.cfs_quota_us"), text("cpu.cfs_period_us"))
        };
        // No limit is `max` in one version and -1 in the other.
        let (limit, period): (f64, f64) = (limit.trim().parse().ok()?, period.trim().parse().ok()?);
        (limit > 0.0 && period > 0.0).then(|| Quota { cpus: limit / period, file: directory.join(name) })
    }
}

/// A file that may not exist: a system without it limits nothing.
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::atomic::write(&path, text.as_bytes()).unwrap();
        }
        root
    }

    const STATUS: (&str, &str) = ("proc/self/status", "Name:\tdistill\nCpus_allowed_list:\t0-3,8\n");

    #[test]
    fn version_2_counts_the_smallest_quota_up_to_the_mount() {
        let root = system(&[
            STATUS,
            ("proc/self/cgroup", "0::/jobs/one\n"),
            ("proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/jobs/cpu.max", "250000 100000\n"),
            ("sys/fs/cgroup/jobs/one/cpu.max", "max 100000\n"),
        ]);
        let cpus = Cpus::below(root.path());
        assert_eq!((cpus.allowed, cpus.usable()), (5, 2));
        assert_eq!(cpus.describe(), "affinity mask: 5; quota: 2.50 CPUs in /sys/fs/cgroup/jobs/cpu.max");
    }

    #[test]
    fn version_1_is_read_where_it_is_mounted_also_inside_a_container() {
        let root = system(&[
            STATUS,
            ("proc/self/cgroup", "5:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n0::/\n"),
            (
                "proc/self/mountinfo",
                "31 24 0:27 /docker/a /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
                 32 24 0:28 /docker/a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            ),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ]);
        let cpus = Cpus::below(root.path());
        assert_eq!(cpus.quota.as_ref().unwrap().cpus.to_string(), "1.5");
        assert_eq!(cpus.usable(), 1, "a second thread would be stopped half of the time");
    }

    #[test]
    fn without_a_limit_the_affinity_mask_decides_and_there_is_always_one() {
        let unlimited = system(&[
            STATUS,
            ("proc/self/cgroup", "4:cpu:/\n"),
            ("proc/self/mountinfo", "31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(Cpus::below(unlimited.path()).describe(), "affinity mask: 5; no CPU quota");
        let little = Quota { cpus: 0.2, file: PathBuf::new() };
        assert_eq!(Cpus { allowed: 4, quota: Some(little) }.usable(), 1);
        let here = Cpus::of_this_process();
        assert!(here.usable() >= 1 && here.usable() <= std::thread::available_parallelism().unwrap().get());
        assert_eq!(count("0-1"), Some(2));
        assert_eq!(count("3-1"), None);
    }
}
