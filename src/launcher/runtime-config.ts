// The runtime's configuration: what wrangler.jsonc says for the platform, said for `workerd serve`.
import path from 'node:path';
import type { QueueConfig } from './queues.ts';

export interface RuntimeConfig {
  /** `host:port` as the runtime takes it; port 0 picks a free one. */
  address: string;
  /** A second one, for clients that look for Connect's gateway there. */
  connectAddress?: string;
  dataDir: string;
  workerBundle: string;
  brokerBundle: string;
  /** May user code be reached on private and loopback addresses? */
  allowPrivate: boolean;
  /** Are calls made by a Dispatcher, as on the platform, and not by the cells themselves? */
  dispatcher: boolean;
  /** Names of the process's environment variables that the Worker sees. Values never touch the disk. */
  variables: readonly string[];
  queues: readonly QueueConfig[];
}

export const COMPATIBILITY_DATE = '2026-10-01';
/**
 * Young-generation space of a V8 heap, in MB. The default grows to three times 16 MB or more under load and is not given back
 * (docs/decisions/0001-raw-workerd.md). Half of this keeps 15 MB less under load, but copies what 50 runs at once have in hand so often that a twentieth of
 * them is lost (bench: throughput, checkpointing). And the collector is lent to the Worker, which calls it when a busy time is over (src/cell/rest.ts).
 * A tenth of the server's time is JavaScript, so the last of V8's three compilers never earns what it costs: without it a run takes a tenth less of the
 * processor in the first thousands and the same after ten thousand, and the heap is 5 MB smaller.
 */
const V8_FLAGS: readonly string[] = ['--max-semi-space-size=8', '--expose-gc', '--no-turbofan'];
export const COMPATIBILITY_FLAGS: readonly string[] = [];

const VENDOR_VARIABLES = [
  'INNGEST_SIGNING_KEY',
  'INNGEST_SIGNING_KEY_FALLBACK',
  'INNGEST_EVENT_KEY',
  // Inngest's own switch for the routes that its tests reset a server by; dev mode only.
  'TEST_MODE',
  'TRIGGER_SECRET_KEY',
  'TRIGGER_ACCESS_TOKEN',
  'TRIGGER_PROJECT_REF',
  'QSTASH_TOKEN',
  'QSTASH_CURRENT_SIGNING_KEY',
  'QSTASH_NEXT_SIGNING_KEY',
];

/** Ours, and a region's own keys of QStash. */
const OWN_OR_REGIONAL =
  /^(REPOINT_[A-Z0-9_]+|(EU_CENTRAL_1|US_EAST_1)_QSTASH_(TOKEN|CURRENT_SIGNING_KEY|NEXT_SIGNING_KEY))$/;

/** Which variables of an environment the Worker sees: the vendors' keys that are set, and everything of ours. */
export function passedVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.keys(env)
    .filter((name) => VENDOR_VARIABLES.includes(name) || OWN_OR_REGIONAL.test(name))
    .filter((name) => env[name] !== undefined)
    .sort();
}

/** Renders the configuration, to be stored in the data directory, as Cap'n Proto text; the constant is named `config`. Source: workerd.capnp of the pinned release. */
export function renderConfig(config: RuntimeConfig): string {
  const { queues, variables } = config;
  // A path that begins with a slash means an import directory, so files are named from the configuration's own place.
  const embedded = (file: string): string => text(path.relative(config.dataDir, file).split(path.sep).join('/'));
  const compatibility = `compatibilityDate = "${COMPATIBILITY_DATE}", compatibilityFlags = ${list(COMPATIBILITY_FLAGS.map(text))}`;
  const sockets: Array<[string, string]> = [['http', config.address]];
  if (config.connectAddress !== undefined) sockets.push(['connect', config.connectAddress]);
  const brokerFlags = list([...COMPATIBILITY_FLAGS, 'service_binding_extra_handlers'].map(text));
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  v8Flags = ${list(V8_FLAGS.map(text))},
  services = [
    (name = "main", worker = .main),
    (name = "broker", worker = .broker),
    (name = "internet", network = (
      allow = ${list((config.allowPrivate ? ['public', 'private'] : ['public']).map(text))},
      tlsOptions = (trustBrowserCas = true),
    )),
    (name = "storage", disk = (path = ${text(`${config.dataDir}/objects`)}, writable = true)),
  ],
  sockets = ${list(sockets.map(([name, address]) => `(name = ${text(name)}, address = ${text(address)}, http = (), service = "main")`))},
);

const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed ${embedded(config.workerBundle)})],
  ${compatibility},
  globalOutbound = "internet",
  durableObjectNamespaces = [
    (className = "Cell", uniqueKey = "repoint-cell", enableSql = true),
    (className = "Channel", uniqueKey = "repoint-channel", enableSql = true),
    (className = "Shelf", uniqueKey = "repoint-shelf", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [
    (name = "CELL", durableObjectNamespace = "Cell"),
    (name = "CHANNEL", durableObjectNamespace = "Channel"),
    (name = "SHELF", durableObjectNamespace = "Shelf"),
${config.dispatcher ? '    (name = "DISPATCHER", service = (name = "main", entrypoint = "Dispatcher")),\n' : ''}${queues.map(({ binding, name }) => `    (name = ${text(binding)}, queue = (name = "broker", props = (json = ${text(JSON.stringify({ queue: name }))}))),`).join('\n')}
${variables.map((name) => `    (name = ${text(name)}, fromEnvironment = ${text(name)}),`).join('\n')}
  ],
);

const broker :Workerd.Worker = (
  modules = [(name = "broker.js", esModule = embed ${embedded(config.brokerBundle)})],
  compatibilityDate = "${COMPATIBILITY_DATE}", compatibilityFlags = ${brokerFlags},
  durableObjectNamespaces = [(className = "Broker", uniqueKey = "repoint-broker", enableSql = true)],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [
    (name = "BROKER", durableObjectNamespace = "Broker"),
    (name = "CONSUMER", service = "main"),
    (name = "QUEUES", json = ${text(JSON.stringify(queues))}),
  ],
);
`;
}

function list(items: readonly string[]): string {
  return `[${items.join(', ')}]`;
}

function text(value: string): string {
  return `"${value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;
}
