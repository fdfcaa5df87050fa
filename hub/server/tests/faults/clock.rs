//! A clock that is set back, and forward.

use crate::twin::{RECIPIENT, SENDER, Twin, until};

const HOUR_S: i64 = 3600;

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_an_hour_stops_nothing() {
    let twin = Twin::start().await;
    let (mut sender, mut recipient) = (twin.consumer(SENDER).await, twin.consumer(RECIPIENT).await);
    let (mut receipts, mut deliveries) = (0, 0);
    for (number, jump) in (1..).zip([0, -HOUR_S, HOUR_S, HOUR_S, -2 * HOUR_S]) {
        twin.clock.advance(jump);
        twin.letter(number).await;
        sender.next().await.unwrap().ack().await.unwrap();
        receipts += 1;
        let delivery = recipient.next().await.unwrap();
        deliveries += 1;
        twin.say_taken(&delivery).await;
        delivery.ack().await.unwrap();
        until(async || twin.sound().await.total.taken == deliveries).await;
    }
    assert_eq!((receipts, deliveries), (5, 5));
    twin.end().await;
}
