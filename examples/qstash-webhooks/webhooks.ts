import type { Client } from '@upstash/qstash';

export interface Subscriber {
  name: string;
  url: string;
}

export interface ShopEvent {
  id: string;
  type: string;
  order: number;
}

/**
 * Sends a shop's events to its subscribers: each has a queue of its own, so that its events come in order and a slow or broken subscriber holds up nobody
 * else. What came of each is told to `/delivered` and `/given-up` of this app.
 */
export class Webhooks {
  readonly #client: Client;
  readonly #publicUrl: string;
  readonly #subscribers: readonly Subscriber[];

  constructor(client: Client, publicUrl: string, subscribers: readonly Subscriber[]) {
    this.#client = client;
    this.#publicUrl = publicUrl;
    this.#subscribers = subscribers;
  }

  async announce(event: ShopEvent): Promise<void> {
    await this.#client.batchJSON(
      this.#subscribers.map(({ name, url }) => ({
        url,
        queueName: queueOf(name),
        body: event,
        // Twice the same event is one delivery.
        deduplicationId: `${event.id}.${name}`,
        retries: 2,
        headers: { 'x-event-type': event.type },
        callback: `${this.#publicUrl}/delivered?to=${name}`,
        failureCallback: `${this.#publicUrl}/given-up?to=${name}`,
        label: 'webhook',
      })),
    );
  }

  /** What a subscriber has missed, sent again in the old order: once it says that it works again. Returns how many. */
  async replay(name: string): Promise<number> {
    let count = 0;
    for (;;) {
      const { messages } = await this.#client.dlq.listMessages({ filter: { queueName: queueOf(name) }, count: 100 });
      if (messages.length === 0) return count;
      // Newest first is how they are listed.
      for (const { dlqId } of messages.toReversed()) {
        await this.#client.dlq.retry({ dlqIds: [dlqId] });
        count++;
      }
    }
  }
}

function queueOf(subscriber: string): string {
  return `webhooks-${subscriber}`;
}
