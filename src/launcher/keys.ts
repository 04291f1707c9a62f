// `repoint keys <environment>`: the variables that apps of a further environment set, asked of the running server.
import { parseArgs } from 'node:util';
import { StartError } from './errors.ts';
import { readLock } from './lock.ts';
import { explain, UsageError } from './options.ts';

export const KEYS_USAGE = `Usage: repoint keys <environment> [options]

  Prints the variables that apps of an environment set, as lines of a .env file: addresses and keys. They follow from the server's
  REPOINT_ROOT_SECRET and the environment's name, which is yours to choose: staging, shop-a. The same name prints the same keys.

  --data <dir>   the data directory of a server that runs on this machine       (REPOINT_DATA, else ./.repoint)
  --url <url>    another server instead; needs REPOINT_API_KEY, its bearer key  (REPOINT_URL is not read here)

Standard output is nothing but the file: npx repoint keys staging > .env.staging
`;

export interface KeysOptions {
  environment: string;
  dataDir: string;
  url: string | undefined;
  apiKey: string | undefined;
}

const TIMEOUT_MS = 10_000;

/** Null: help is asked for. @throws UsageError */
export function parseKeysOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): KeysOptions | null {
  const { values, positionals } = parse(argv);
  if (values.help) return null;
  const [environment, ...more] = positionals;
  if (environment === undefined || more.length > 0)
    throw new UsageError('repoint keys takes the name of one environment, like: repoint keys staging');
  const url = values.url;
  if (url !== undefined && (!URL.canParse(url) || !/^https?:/.test(url)))
    throw new UsageError(`--url takes the HTTP URL of a server, not "${url}"`);
  if (url !== undefined && !env.REPOINT_API_KEY)
    throw new UsageError('repoint keys --url needs REPOINT_API_KEY, as it is set on that server');
  return { environment, url, dataDir: values.data ?? (env.REPOINT_DATA || './.repoint'), apiKey: env.REPOINT_API_KEY };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        data: { type: 'string' },
        url: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(`${explain(error)}; see repoint keys --help`);
  }
}

/** The text of a .env file. @throws StartError when there is no server to ask, or it has no such keys */
export async function environmentFile({ environment, dataDir, url, apiKey }: KeysOptions): Promise<string> {
  const lock = url === undefined ? readLock(dataDir) : undefined;
  const server = url?.replace(/\/+$/, '') ?? lock?.url;
  // Who may read the lock of a data directory may read all of its data.
  const key = url === undefined ? lock?.internalToken : apiKey;
  if (server === undefined || key === undefined)
    throw new StartError(`no server runs on ${dataDir}: start it first, or name another with --data or --url`);
  let response: Response;
  try {
    response = await fetch(`${server}/api/environments/${encodeURIComponent(environment)}/keys`, {
      headers: { authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new StartError(`the server at ${server} does not answer`);
  }
  const text = await response.text();
  const answer = parseJson(text) as { error?: string; url?: string; variables?: Record<string, string> } | null;
  if (!response.ok || !answer?.variables)
    throw new StartError(
      `the server at ${server} says: ${answer?.error ?? `${response.status} ${text.slice(0, 200)}`}`,
    );
  return render(environment, answer.url || server, answer.variables);
}

function render(environment: string, url: string, variables: Record<string, string>): string {
  const { REPOINT_API_KEY: apiKey, ...vendors } = variables;
  const lines = [
    `# Environment "${environment}" of ${url}. Secret: keep it out of version control.`,
    `INNGEST_BASE_URL=${url}`,
    `TRIGGER_API_URL=${url}`,
    `QSTASH_URL=${url}`,
    ...Object.entries(vendors).map(([name, value]) => `${name}=${value}`),
    ...(apiKey === undefined ? [] : ['# Of this server’s own API, /api/executions.', `REPOINT_API_KEY=${apiKey}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
