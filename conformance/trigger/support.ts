import { configure, runs } from '@trigger.dev/sdk';
import type { CaseContext, SuiteContext } from '../harness/index.ts';
import { laneWorker, type Worker } from './worker.ts';

export const SDK = '@trigger.dev/sdk 4.8.3, trigger.dev 4.8.3';

/** The SDK in this process as a user's script has it: base URL and secret key. */
export function useSdk({ url, environment }: SuiteContext): void {
  configure({ baseURL: url, secretKey: environment.triggerSecretKey });
}

/** The lane's worker, and the SDK aimed at the server. */
export async function useWorker(context: SuiteContext): Promise<Worker> {
  useSdk(context);
  return laneWorker({
    url: context.url,
    project: context.environment.triggerProjectRef,
    accessToken: context.environment.triggerAccessToken,
  });
}

export interface OwnServer {
  /** A case's or the suite's context, aimed at that server. */
  aimed<C extends SuiteContext>(context: C): C;
}

/**
 * A server for a suite that registers another project: on the shared one, keys that name no project would mean that one from then on,
 * and the other suites' runs would wait for its worker. To be called in `beforeAll`; the SDK is aimed at it.
 */
export async function useOwnServer(context: SuiteContext): Promise<OwnServer> {
  const { url, clock } = await context.startServer({ mode: 'dev' });
  const server: OwnServer = { aimed: (aimedContext) => ({ ...aimedContext, url, clock }) };
  useSdk(server.aimed(context));
  return server;
}

/** `runs.poll` gives up after 500 looks. */
const POLL_MS = 80;

export type Run = Awaited<ReturnType<typeof runs.retrieve<string>>>;

/** `runs.poll` until the run has ended, however it did. */
export async function finished(handle: { id: string }): Promise<Run> {
  return (await runs.poll(handle.id, { pollIntervalMs: POLL_MS })) as Run;
}

/** A retrieved run that satisfies the predicate. */
export async function seen(
  context: CaseContext,
  id: string,
  what: string,
  predicate: (run: Run) => boolean,
  timeoutMs = 15_000,
): Promise<Run> {
  return context.until(
    async () => {
      const run = (await runs.retrieve(id)) as Run;
      return predicate(run) ? run : null;
    },
    { what, timeoutMs, everyMs: POLL_MS },
  );
}

/** A request as no SDK sends it. */
export function call(
  context: SuiteContext,
  method: string,
  path: string,
  init: RequestInit & { key?: string | null } = {},
): Promise<Response> {
  const { key = context.environment.triggerSecretKey, ...rest } = init;
  const authorization: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  return fetch(context.url + path, {
    ...rest,
    method,
    headers: { ...authorization, ...(rest.headers as Record<string, string> | undefined) },
  });
}
