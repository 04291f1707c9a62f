import { expect, test } from 'vitest';
import { MAX_EVENTS_EXAMINED } from '../../../core/model/limits.ts';
import { LocalServer } from '../testing/local-server.ts';

const EVENTS = `query ($names: [String!], $first: Int!, $after: String, $query: String) {
  eventsV2(first: $first, after: $after, filter: { from: "2020-01-01T00:00:00Z", eventNames: $names, query: $query, includeInternalEvents: true }) {
    totalCount edges { cursor node { name } } pageInfo { hasNextPage endCursor } } }`;

interface Events {
  totalCount: number;
  edges: Array<{ cursor: string; node: { name: string } }>;
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

async function ask(server: LocalServer, variables: object): Promise<Events> {
  const response = await server.routes.request('/v0/gql', {
    method: 'POST',
    body: JSON.stringify({ query: EVENTS, variables }),
  });
  const { data, errors } = (await response.json()) as { data: { eventsV2: Events }; errors?: unknown };
  expect(errors).toBeUndefined();
  return data.eventsV2;
}

/** The first is the rarest, and the oldest. */
function serverWith(count: number): { server: LocalServer; ids: string[] } {
  const server = new LocalServer();
  const names = Array.from({ length: count }, (_, i) => (i === 0 ? 'rare' : i % 2 === 0 ? 'even' : 'odd'));
  const events = names.map((name) => ({ name, body: `{"name":"${name}","data":{}}`, ts: server.now }));
  const [result] = server.engine.apply([{ type: 'ingest', events }]);
  return { server, ids: (result as { ids: string[] }).ids };
}

test('a rare event behind more others than one look reaches is found, and counted', async () => {
  const { server, ids } = serverWith(MAX_EVENTS_EXAMINED + 100);
  const listed = await server.get('/v1/events?name=rare');
  expect(listed.data).toMatchObject([{ internal_id: ids[0], name: 'rare' }]);
  expect(await ask(server, { names: ['rare'], first: 5 })).toEqual({
    totalCount: 1,
    edges: [{ cursor: ids[0], node: { name: 'rare' } }],
    pageInfo: { hasNextPage: false, endCursor: ids[0] },
  });
  expect(await ask(server, { names: ['none'], first: 5 })).toEqual({
    totalCount: 0,
    edges: [],
    pageInfo: { hasNextPage: false, endCursor: null },
  });
});

test('the same query is answered with the variables of each request', async () => {
  const { server, ids } = serverWith(6);
  const [a, b] = [await ask(server, { names: ['odd'], first: 2 }), await ask(server, { names: ['even'], first: 5 })];
  expect(a).toMatchObject({
    totalCount: 3,
    edges: [{ cursor: ids[5] }, { cursor: ids[3] }],
    pageInfo: { hasNextPage: true },
  });
  expect(b).toMatchObject({ totalCount: 2, edges: [{ cursor: ids[4] }, { cursor: ids[2] }] });
});

test('a condition that nothing of the first 2,000 meets leaves a cursor behind them', async () => {
  const { server, ids } = serverWith(2_050);
  const query = "event.name == 'rare'";
  const first = await ask(server, { first: 5, query });
  expect(first).toMatchObject({ edges: [], pageInfo: { hasNextPage: true, endCursor: ids[50] } });
  const second = await ask(server, { first: 5, query, after: first.pageInfo.endCursor });
  expect(second).toMatchObject({ edges: [{ cursor: ids[0] }], pageInfo: { hasNextPage: false } });
});

const NODE = 'id status eventName isBatch isDeferred endedAt triggerIDs function { slug }';
const runsQuery = (fields: string, args = ''): string =>
  `query { runs(first: 10${args}) { totalCount edges { node { ${fields} } } } }`;

interface Runs {
  totalCount: number;
  edges: Array<{ node: { id: string; status: string; eventName: string | null; output?: string } }>;
}

test('a list of runs reads their results where they are asked for, and nowhere else', async () => {
  const server = new LocalServer();
  await server.register('http://app.test/', 'go');
  let n = 0;
  server.app = () => Promise.resolve(Response.json({ n: n++ }, { headers: { 'x-inngest-sdk': 'js:v4.24.0' } }));
  for (let i = 0; i < 3; i++) {
    await server.routes.request('/e/key', { method: 'POST', body: JSON.stringify({ name: 'go', data: {} }) });
    await server.idle();
  }
  await server.routes.request('/invoke/app-f', { method: 'POST', body: '{"data":{}}' });
  await server.idle();
  const asked: string[] = [];
  const query = server.engine.query.bind(server.engine);
  server.engine.query = (one) => {
    asked.push(one.type);
    return query(one);
  };
  const ask = async (text: string): Promise<{ runs: Runs; whole: string[] }> => {
    asked.length = 0;
    const response = await server.routes.request('/v0/gql', { method: 'POST', body: JSON.stringify({ query: text }) });
    const { data, errors } = (await response.json()) as { data: { runs: Runs }; errors?: unknown };
    expect(errors).toBeUndefined();
    return { runs: data.runs, whole: asked.filter((type) => type === 'run' || type === 'runs') };
  };
  const outputs = ({ runs }: { runs: Runs }): unknown[] => runs.edges.map(({ node }) => node.output);
  const names = ({ runs }: { runs: Runs }): unknown[] => runs.edges.map(({ node }) => node.eventName);

  const plain = await ask(runsQuery('id status endedAt triggerIDs function { slug }'));
  expect([plain.runs.totalCount, plain.runs.edges.length, plain.whole]).toEqual([4, 4, []]);
  const named = await ask(runsQuery(NODE));
  expect(names(named)).toEqual(['inngest/function.invoked', 'go', 'go', 'go']);
  expect(named.whole).toEqual([]);
  const all = ['{"n":3}', '{"n":2}', '{"n":1}', '{"n":0}'];
  const whole = await ask(`${runsQuery('...N')} fragment N on FunctionRunV2 { output }`);
  expect([outputs(whole), whole.whole]).toEqual([all, ['runs']]);
  for (const order of ['DESC', 'ASC']) {
    const by = `, orderBy: [{ field: ENDED_AT, direction: ${order} }]`;
    const sorted = await ask(runsQuery('... on FunctionRunV2 { output }', by));
    expect([outputs(sorted), sorted.whole]).toEqual([order === 'ASC' ? all.toReversed() : all, ['runs']]);
    const short = await ask(runsQuery('id status', by));
    expect([short.runs.edges.length, short.whole]).toEqual([4, []]);
  }
  const filter = (text: string): string => `, filter: { from: "2020-01-01T00:00:00Z", query: "${text}" }`;
  const fits = await ask(runsQuery('id', filter('output.n == 2')));
  expect([fits.runs.edges.length, fits.runs.totalCount]).toEqual([1, 1]);
  const byEvent = await ask(runsQuery('id', filter("event.name == 'go'")));
  expect([byEvent.runs.edges.length, byEvent.runs.totalCount]).toEqual([3, 3]);
  expect(byEvent.whole).toEqual([]);
  for (const [more, whole] of [
    ['', []],
    ['?includeOutput=true', ['runs']],
  ] as const) {
    asked.length = 0;
    const { data } = (await server.get(`/v2/runs${more}`)) as unknown as { data: Array<{ output?: unknown }> };
    expect(asked.filter((type) => type === 'run' || type === 'runs')).toEqual(whole);
    expect(data.map((run) => JSON.stringify(run.output))).toEqual(
      more === '' ? [1, 2, 3, 4].map(() => undefined) : all,
    );
  }
  // Of a run that no event started, the event is made of its input, which is read for it alone.
  server.engine.apply([{ type: 'start', spec: { task: 'inngest/app-f', input: '{"n":1}' } }]);
  await server.idle();
  const made = await ask(runsQuery('eventName isDeferred'));
  expect(names(made)).toEqual(['inngest/function.invoked', ...names(named)]);
  expect(new Set(made.whole)).toEqual(new Set(['run']));
});
