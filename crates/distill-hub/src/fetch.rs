//! Downloads one file from the hub, or a host that it redirects to, into the cache: complete and verified, or not at all.

use distill_core::atomic::FileError;

use crate::announced::{Announced, excerpt};
use crate::cache::{Part, Repository};
use crate::client::{Answer, Client, Patience, Trouble, again};
use crate::files::most_bytes;
use crate::hash::{ContentHash, Unhashed, sha256};
use crate::url::Url;

/// Fetches the files of one commit.
pub(crate) struct Fetch<'a> {
    pub(crate) client: &'a Client,
    pub(crate) repository: &'a Repository,
    /// `ORG/NAME`.
    pub(crate) name: &'a str,
    pub(crate) commit: &'a str,
}

/// The result of one try.
enum Try {
    /// All of it is in the part.
    Whole,
    /// The request must be repeated: from another byte, or with another part.
    Anew,
}

/// A file on its way.
struct Work<'a> {
    file: &'a str,
    url: Url,
    announced: Announced,
    /// With the hash that it is stored under, if that is known.
    part: Option<(Option<ContentHash>, Part)>,
    is_told: bool,
}

impl Fetch<'_> {
    /// Downloads a file, unless the cache has its content, and adds it to the snapshot.
    ///
    /// # Errors
    /// [`Trouble`] naming the file.
    pub(crate) fn file(&self, file: &str, announced: Announced) -> Result<(), Trouble> {
        let url = self.client.at(&format!("/{}/resolve/{}/{file}", self.name, self.commit));
        let mut work = Work { file, url, announced, part: None, is_told: false };
        let hash = self.content(&mut work).map_err(|trouble| match trouble {
            Trouble::Refused(problem) => Trouble::Refused(format!("{file}: {problem}")),
            Trouble::Failed(problem) => Trouble::Failed(format!("{file}: {problem}")),
            Trouble::Again { problem, wait } => Trouble::Again { problem: format!("{file}: {problem}"), wait },
            other => other,
        })?;
        Ok(self.repository.link(file, &hash)?)
    }

    /// Makes sure that the cache has the content, and returns its name there.
    fn content(&self, work: &mut Work) -> Result<ContentHash, Trouble> {
        let mut patience = Patience::default();
        let mut may_restart = true;
        loop {
            let Some(begun) = self.prepare(work)? else {
                return work.announced.hash.clone().ok_or_else(|| again("no hash"));
            };
            match self.attempt(work, begun) {
                Ok(Try::Anew) => continue,
                Ok(Try::Whole) => {}
                Err(trouble) => {
                    let has_progress = work.length() > begun;
                    patience.after(trouble, has_progress, self.client)?;
                    continue;
                }
            }
            match self.finish(work)? {
                Ok(hash) => return Ok(hash),
                // The part from an earlier run may have been wrong.
                Err(_) if begun > 0 && std::mem::take(&mut may_restart) => {}
                Err(problem) => return Err(Trouble::Refused(problem)),
            }
        }
    }

    /// Opens the part for the announced hash, and returns its length; none if the content is complete.
    fn prepare(&self, work: &mut Work) -> Result<Option<u64>, Trouble> {
        let wanted = &work.announced.hash;
        if work.part.as_ref().is_none_or(|(of, _)| of != wanted) {
            // One lock at a time: the old part's lock is released first.
            work.part = None;
            let part = match wanted {
                Some(hash) if self.repository.has(hash) => return Ok(None),
                Some(hash) => match self.repository.part(hash, self.client)? {
                    Some(part) => part,
                    None => return Ok(None),
                },
                None => self.repository.passing_part()?,
            };
            work.part = Some((wanted.clone(), part));
        }
        let Some((_, part)) = &mut work.part else { return Ok(None) };
        if work.announced.size.is_some_and(|size| part.length > size) {
            part.clear()?;
        }
        Ok(Some(part.length))
    }

    /// Makes one request, from byte `begun` on.
    fn attempt(&self, work: &mut Work, begun: u64) -> Result<Try, Trouble> {
        if begun > 0 && work.announced.size == Some(begun) {
            return Ok(Try::Whole);
        }
        let (commit, announced) = (self.commit, &mut work.announced);
        let mut answer = self.client.get(&work.url, begun, |hop| heed(hop, commit, announced))?;
        let before = work.part.as_ref().map(|(of, _)| of.clone());
        let is_other = before != Some(work.announced.hash.clone());
        let Some((_, part)) = work.part.as_mut().filter(|_| !is_other) else {
            // The hash is known only now: an earlier run may have stored a part under it.
            return Ok(Try::Anew);
        };
        let Some(size) = placed(&answer, begun, part)? else { return Ok(Try::Anew) };
        work.announced.add(Announced { hash: None, size }).map_err(Trouble::Refused)?;
        let most = work.most()?;
        if !std::mem::replace(&mut work.is_told, true) {
            tracing::info!(bytes = work.announced.size, "fetching {}", work.file);
        }
        let Some((_, part)) = work.part.as_mut() else { return Ok(Try::Anew) };
        let received = receive(&mut answer, part, most);
        let length = part.length;
        received.map_err(|trouble| match (trouble, size) {
            (Trouble::Again { problem, wait }, Some(size)) => {
                Trouble::Again { problem: format!("{problem}, after {length} of {size} bytes"), wait }
            }
            (other, _) => other,
        })?;
        match work.announced.size {
            Some(size) if length < size => {
                Err(again(format!("the connection ended after {length} of {size} bytes")))
            }
            _ => Ok(Try::Whole),
        }
    }

    /// Compares the part's hash with the announced one, and gives it its name or returns the difference.
    fn finish(&self, work: &mut Work) -> Result<Result<ContentHash, String>, Trouble> {
        let Some((of, mut part)) = work.part.take() else { return Err(again("nothing was fetched")) };
        let stop = self.client.stop();
        let found = match &of {
            Some(hash) => hash.of_same_kind(&mut part.file, stop),
            None => sha256(&mut part.file, stop),
        };
        let found = found.map_err(|error| match error {
            Unhashed::Stopped(reason) => Trouble::Stopped(reason),
            Unhashed::File(error) => {
                FileError::new("read", &self.repository.snapshot().join(work.file), error).into()
            }
        })?;
        match of {
            Some(hash) if hash != found => {
                part.remove()?;
                return Ok(Err(format!(
                    "the downloaded file has the {} {}, but {} was announced; it was discarded",
                    found.kind(),
                    found.digits(),
                    hash.digits()
                )));
            }
            Some(_) => {}
            None => {
                tracing::warn!("the hub announces no hash of {}: only its size could be compared", work.file)
            }
        }
        self.repository.publish(part, &found)?;
        Ok(Ok(found))
    }
}

impl Work<'_> {
    fn length(&self) -> u64 {
        self.part.as_ref().map_or(0, |(_, part)| part.length)
    }

    /// How many bytes may arrive.
    fn most(&self) -> Result<u64, Trouble> {
        let most = most_bytes(self.file, self.announced.size.is_some());
        match self.announced.size {
            Some(size) if size > most => {
                Err(Trouble::Refused(format!("{size} bytes were announced; the limit is {most}")))
            }
            Some(size) => Ok(size),
            None => Ok(most),
        }
    }
}

/// Reads what an answer on the way announces, if it comes from the hub itself.
fn heed(hop: &Answer, commit: &str, announced: &mut Announced) -> Result<(), Trouble> {
    let is_content = matches!(hop.status, 200 | 206);
    if !hop.is_hubs || !(is_content || matches!(hop.status, 300..=399)) {
        return Ok(());
    }
    if let Some(other) = hop.header("x-repo-commit").filter(|other| *other != commit) {
        let problem = format!("commit {commit} was requested, but X-Repo-Commit is {}", excerpt(other));
        return Err(Trouble::Refused(problem));
    }
    let said = Announced::of_headers(|name| hop.header(name), is_content).map_err(Trouble::Refused)?;
    announced.add(said).map_err(Trouble::Refused)
}

/// Moves the part to the answer's first byte, and returns the size of the whole file according to the answer; none
/// where the answer is of no use.
fn placed(answer: &Answer, begun: u64, part: &mut Part) -> Result<Option<Option<u64>>, Trouble> {
    let size = match answer.status {
        200 => {
            part.clear()?;
            answer.number("content-length")
        }
        206 => {
            let range = answer.header("content-range").unwrap_or_default();
            let (first, total) = range_of(range)
                .ok_or_else(|| Trouble::Failed(format!("Content-Range {} is invalid", excerpt(range))))?;
            if first != begun {
                let problem = format!("bytes from {begun} on were requested, but {} were sent", excerpt(range));
                return Err(Trouble::Failed(problem));
            }
            part.continue_at_end()?;
            total
        }
        // There is no such range: the part from an earlier run is too long.
        _ if begun > 0 => {
            part.clear()?;
            return Ok(None);
        }
        status => return Err(Trouble::Failed(format!("HTTP status {status}"))),
    };
    Ok(Some(size))
}

/// First byte and whole size of `bytes FIRST-LAST/SIZE`.
fn range_of(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse::<u64>().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

/// Writes what arrives, up to the allowed size.
fn receive(answer: &mut Answer, part: &mut Part, most: u64) -> Result<(), Trouble> {
    while let Some(bytes) = answer.next()? {
        if part.length + bytes.len() as u64 > most {
            part.clear()?;
            return Err(Trouble::Refused(format!("more than {most} bytes were sent; they were discarded")));
        }
        part.append(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_first_byte_and_maybe_a_size() {
        assert_eq!(range_of("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range_of("bytes 5-9/*"), Some((5, None)));
        for bad in
            ["", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "bytes -5/10", "items 0-1/2", "bytes 0-1"]
        {
            assert_eq!(range_of(bad), None, "{bad}");
        }
    }
}
