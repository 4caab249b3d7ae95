//! Waiting for what emulators and other processes do: they notify nobody, so a test can only look again.

use std::time::Duration;

/// How often [`eventually`] looks before it gives up: a minute or more on any machine.
const LOOKS: usize = 3000;
/// The pause between two looks, which lets the other process work.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` gives a value, and returns it. Until then `look` says what it has seen instead.
///
/// # Panics
///
/// With what was seen last, when nothing comes of it.
pub async fn eventually<T>(mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let mut seen = String::new();
    for _ in 0..LOOKS {
        match look().await {
            Ok(value) => return value,
            Err(instead) => seen = instead,
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("nothing came of {LOOKS} looks; the last saw {seen}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_looks_until_there_is_a_value() {
        let mut looks = 0;
        let value = eventually(async || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("look {looks}")) }
        });
        assert_eq!(value.await, 3);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "the last saw an empty shelf")]
    async fn it_gives_up_and_says_what_it_saw() {
        eventually::<()>(async || Err("an empty shelf".to_owned())).await;
    }
}
