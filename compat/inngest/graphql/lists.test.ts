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
