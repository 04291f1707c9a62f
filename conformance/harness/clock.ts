/** The server's clock as a test moves it. Dev mode only; the clock is the whole server's, so suites run one after another. */
export interface ClockControl {
  /** Milliseconds since the epoch on the server's clock. */
  now(): Promise<number>;
  /** Moves the clock forward through every due timer in order; the server is idle when this resolves. Returns the new time. */
  advance(ms: number): Promise<number>;
  /** As `advance`, to a point in time (ms since the epoch). */
  set(ms: number): Promise<number>;
  /** Resolves when nothing is in flight and nothing is due. Throws with what is still pending after `timeoutMs` (default 10,000). */
  idle(timeoutMs?: number): Promise<void>;
}

export const DEFAULT_IDLE_TIMEOUT_MS = 10_000;

export function clockOf(url: string): ClockControl {
  const post = async (path: string, body: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(new URL(path, url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST ${path} ${JSON.stringify(body)}: ${response.status} ${text.slice(0, 500)}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
  return {
    async now() {
      const response = await fetch(new URL('/api/test/clock', url));
      if (!response.ok)
        throw new Error(`GET /api/test/clock: ${response.status} ${(await response.text()).slice(0, 500)}`);
      return ((await response.json()) as { nowMs: number }).nowMs;
    },
    advance: async (ms) => (await post('/api/test/clock', { advanceMs: ms })).nowMs as number,
    set: async (ms) => (await post('/api/test/clock', { setMs: ms })).nowMs as number,
    async idle(timeoutMs = DEFAULT_IDLE_TIMEOUT_MS) {
      const answer = await post('/api/test/idle', { timeoutMs });
      if (answer.idle !== true)
        throw new Error(`the server was not idle within ${timeoutMs} ms: ${JSON.stringify(answer)}`);
    },
  };
}
