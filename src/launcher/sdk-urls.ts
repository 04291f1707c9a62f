// Apps that are named on the command line: the server is asked to sync each of them, again and again, so that what changes in them is taken up.

/** inngest/inngest: pkg/devserver DefaultPollInterval. */
const POLL_MS = 5_000;
const TIMEOUT_MS = 15_000;

export interface PolledApps {
  stop(): void;
}

/**
 * Asks the server at `serverUrl` to sync every URL now and every five seconds. What happened is logged when it differs from the time before.
 * `key`: the signing key, in production mode.
 */
export function pollApps(
  serverUrl: string,
  urls: readonly string[],
  options: { key: string | undefined; log: (line: string) => void; everyMs?: number },
): PolledApps {
  const last = new Map<string, string>();
  let stopped = false;
  const pollAll = async (): Promise<void> => {
    for (const url of urls) {
      const outcome = await sync(serverUrl, url, options.key);
      if (stopped || last.get(url) === outcome) continue;
      last.set(url, outcome);
      options.log(`${url}: ${outcome}`);
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const go = (): void => {
    void pollAll().finally(() => {
      if (stopped) return;
      timer = setTimeout(go, options.everyMs ?? POLL_MS);
      timer.unref();
    });
  };
  if (urls.length > 0) go();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** One line that says how it went; never throws. */
async function sync(serverUrl: string, url: string, key: string | undefined): Promise<string> {
  try {
    const response = await fetch(`${serverUrl}/v2/apps/-/syncs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key ? { authorization: `Bearer ${key}` } : {}) },
      body: JSON.stringify({ url }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const body = (await response.json()) as { data?: { appId?: string | null }; errors?: Array<{ message: string }> };
    return response.ok
      ? `app "${body.data?.appId ?? '?'}" is synced`
      : (body.errors?.[0]?.message ?? `the server answered ${response.status}`);
  } catch (error) {
    return `could not be synced: ${error instanceof Error ? error.message : String(error)}`;
  }
}
