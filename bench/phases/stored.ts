import { setTimeout as delay } from 'node:timers/promises';
import { withSides, type Bench, type Phase, type Side } from '../bench.ts';
import { openInngest, type InngestBench } from '../apps/inngest.ts';
import { openInngestLoad, type InngestLoad } from '../apps/inngest-load.ts';
import type { HttpClient } from '../http.ts';
import type { Sample } from '../measure.ts';
import { startRepoint } from '../targets.ts';
import { atMost, over } from '../verdicts.ts';

const STORED = 100_000;
const ASLEEP = 10_000;
const LIMIT_MS = 150_000;
/** Short takes of the two servers in turns: the ratio of their medians holds on a machine that changes its pace. */
const TURNS = 5;
const WORSE = 1.2;
const MOST_MS = 20;

/** As the vendor's own pages ask for a first page, and count. */
const RUNS = `query { runs(first: 40, orderBy: [{ field: QUEUED_AT, direction: DESC }], filter: { from: "2020-01-01T00:00:00Z" }) {
  edges { node { id status queuedAt startedAt endedAt eventName function { name slug } app { name } } } pageInfo { hasNextPage endCursor } } }`;
const COMPLETED = RUNS.replace('filter: {', 'filter: { status: [COMPLETED],');
const COUNT = `query { runs(first: 1, orderBy: [{ field: QUEUED_AT, direction: DESC }], filter: { from: "2020-01-01T00:00:00Z" }) { totalCount } }`;

type Ask = (http: HttpClient, url: string, event: string) => Promise<{ status: number; body: string }>;
const graphql =
  (query: string): Ask =>
  (http, url) =>
    http.post(`${url}/v0/gql`, JSON.stringify({ query }));
const LISTS: Record<string, Ask> = {
  'runs of an event': (http, url, event) => http.get(`${url}/v1/events/${event}/runs`),
  'events, newest': (http, url) => http.get(`${url}/v1/events?limit=40`),
  'events of one name': (http, url) => http.get(`${url}/v1/events?limit=40&name=load/sleep`),
  'runs v2, newest': (http, url) => http.get(`${url}/v2/runs?limit=40`),
  'runs v2, running': (http, url) => http.get(`${url}/v2/runs?limit=40&status=running`),
  'GraphQL runs': graphql(RUNS),
  'GraphQL runs completed': graphql(COMPLETED),
  'GraphQL runs counted': graphql(COUNT),
};

interface Apps {
  sdk: InngestBench;
  load: InngestLoad;
  url: string;
  close(): Promise<void>;
}

async function open(url: string): Promise<Apps> {
  const load = await openInngestLoad(url);
  const sdk = await openInngest(url, true);
  return { sdk, load, url, close: () => load.close().then(() => sdk.close()) };
}

async function fill(bench: Bench, { load }: Apps): Promise<void> {
  const [ended, asleep] = [bench.amount(STORED), bench.amount(ASLEEP)];
  const slept = await load.make('sleep', asleep, LIMIT_MS);
  const made = await load.make('nothing', ended, LIMIT_MS);
  const rates = { 'ended a second': made.made / made.seconds, 'asleep a second': slept.made / slept.seconds };
  const there = made.made + slept.made;
  bench.note('inngest stored', 'repoint', there, rates, ended + asleep - there);
  await delay(3_000);
}

export const stored: Phase = {
  name: 'stored',
  usage:
    'a server with 100,000 ended and 10,000 sleeping runs beside an empty one, in turns: single runs, 50 at once, ingest; lists',
  run: (bench) =>
    withSides([startRepoint, startRepoint], open, async ([empty, full]) => {
      await fill(bench, full!.app);
      const turns = Math.max(TURNS, bench.options.repeat);
      const compare = async (what: string, body: (apps: Apps) => Promise<Sample>): Promise<void> => {
        const side = ({ target, app }: typeof empty & {}, condition: string): Side => ({
          target,
          body: () => body(app),
          phase: `inngest ${what}, ${condition}`,
        });
        await bench.measure(what, [side(empty!, 'empty'), side(full!, 'stored')], turns);
      };
      for (const { app } of [empty!, full!]) await app.sdk.throughput(bench.amount(300), 20);
      await compare('single runs', ({ sdk }) => sdk.latency(bench.amount(50), 5));
      await compare('50 at once', ({ sdk }) => sdk.throughput(bench.amount(400), 50));
      await compare('checkpoints', ({ load }) => load.checkpoints(bench.amount(100)));
      const event = full!.app.load.event();
      for (const [name, ask] of Object.entries(LISTS)) {
        const { load, url } = full!.app;
        const body = (count: number): Promise<Sample> => load.asked(count, (http) => ask(http, url, event));
        await body(bench.amount(50));
        await bench.measure(`inngest list: ${name}`, [{ target: full!.target, body: () => body(bench.amount(200)) }]);
      }
    }),
  verdicts: (figures) => {
    const of = (what: string, key: 'p50' | 'perSecond'): number | undefined =>
      over(figures.of(`inngest ${what}, stored`, 'repoint', key), figures.of(`inngest ${what}, empty`, 'repoint', key));
    const beside = 'beside 110,000 stored runs, of without';
    return [
      ...atMost(`inngest single runs ${beside}: p50`, of('single runs', 'p50'), WORSE),
      ...atMost(`inngest 50 at once ${beside}: time for each`, over(1, of('50 at once', 'perSecond')), WORSE),
      ...atMost(`inngest checkpoints ${beside}: p50`, of('checkpoints', 'p50'), WORSE),
      ...Object.keys(LISTS).flatMap((name) =>
        atMost(
          `inngest list of 110,000: ${name}, p99`,
          figures.of(`inngest list: ${name}`, 'repoint', 'p99'),
          MOST_MS,
          ' ms',
        ),
      ),
    ];
  },
};
