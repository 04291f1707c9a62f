import { expect, test } from 'vitest';
import { encode } from './connect/wire.ts';
import type { Fields } from './connect/wire.ts';
import { readExport } from './otlp.ts';
import { LocalServer } from './testing/local-server.ts';
import { readReference, traceHeaders } from './trace-context.ts';

const RUN = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const APP = 'http://app.test/api/inngest';

interface Given {
  id: string;
  run?: string;
  parent?: string;
  name?: string;
  attributes?: Record<string, string>;
  atMs?: number;
}

function exportOf(...spans: Given[]): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
        scopeSpans: [
          {
            scope: { name: 'mine', version: '1' },
            spans: spans.map(({ id, run = RUN, parent, name = id, attributes = {}, atMs = 1_000 }) => ({
              traceId: 'a'.repeat(32),
              spanId: id.repeat(16).slice(0, 16),
              ...(parent === undefined ? {} : { parentSpanId: parent.repeat(16).slice(0, 16) }),
              name,
              kind: 3,
              startTimeUnixNano: `${atMs}000000`,
              endTimeUnixNano: `${atMs + 5}000000`,
              attributes: Object.entries({ 'sdk.run.id': run, ...attributes }).map(([key, value]) => ({
                key,
                value: { stringValue: value },
              })),
              status: { code: 0 },
            })),
          },
        ],
      },
    ],
  });
}

test('an export in Protocol Buffers says the same as one in JSON', () => {
  const value = { stringValue: [1, 'string'], doubleValue: [4, 'double'], intValue: [3, 'number'] } as const;
  const attribute = { key: [1, 'string'], value: [2, 'message', value] } as const;
  const span = {
    spanId: [2, 'bytes'],
    name: [5, 'string'],
    kind: [6, 'number'],
    startTimeUnixNano: [7, 'fixed64'],
    endTimeUnixNano: [8, 'fixed64'],
    attributes: [9, 'messages', attribute],
    status: [15, 'message', { code: [3, 'number'] }],
  } as const;
  const fields = {
    resourceSpans: [1, 'messages', { scopeSpans: [2, 'messages', { spans: [2, 'messages', span] }] }],
  } as const satisfies Fields;
  const bytes = encode(fields, {
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: [
              {
                spanId: new Uint8Array(8).fill(0xab),
                name: 'query',
                kind: 3,
                startTimeUnixNano: 1_700_000_000_123_456_789n,
                endTimeUnixNano: 1_700_000_000_223_456_789n,
                attributes: [
                  { key: 'sdk.run.id', value: { stringValue: RUN } },
                  { key: 'ratio', value: { doubleValue: 0.25 } },
                  { key: 'rows', value: { intValue: 7 } },
                ],
                status: { code: 2 },
              },
              { spanId: new Uint8Array(8).fill(1), name: 'of no run' },
            ],
          },
        ],
      },
    ],
  });
  const read = readExport(bytes, false);
  expect(read?.rejected).toBe(1);
  expect(read?.spans.get(RUN)).toMatchObject([
    {
      id: 'abababababababab',
      parent: null,
      name: 'query',
      kind: 'client',
      startMs: 1_700_000_000_123,
      endMs: 1_700_000_000_223,
      failed: true,
      attributes: { ratio: 0.25, rows: 7 },
    },
  ]);
  expect(readExport(bytes.subarray(0, 40), false)).toBeNull();
  expect(readExport(new TextEncoder().encode('{}'), true)).toBeNull();
});

test('the reference of a call comes back as it was given', () => {
  for (const call of [
    { seq: 3, attempt: 0, key: '' },
    { seq: 12, attempt: 2, key: 'a,b=c é' },
  ]) {
    const state = traceHeaders(RUN, call, { id: 'fn', appId: 'app' })[1]?.[1] ?? '';
    const entries = Object.fromEntries(state.split(',').map((pair) => pair.split('='))) as Record<string, string>;
    expect(readReference(entries['inngest@traceref'] ?? '')).toEqual(call);
  }
  expect(readReference('%7B%22tp%22%3A1%7D')).toBeNull();
});

async function traceOf(server: LocalServer, run: string): Promise<{ children: Shown[] }> {
  const { data } = await server.get(`/v2/runs/${run}/trace`);
  return (data as { rootSpan: { children: Shown[] } }).rootSpan;
}

interface Shown {
  name: string;
  status: string;
  isUserland: boolean;
  children: Shown[];
}

/** Names, nested. */
function names(spans: Shown[]): unknown[] {
  return spans.map(({ name, children }) => (children.length === 0 ? name : [name, names(children)]));
}

async function send(
  server: LocalServer,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const response = await server.routes.request('/v1/traces/userland', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: body as BodyInit,
  });
  expect(response.status).toBe(200);
  return response.json();
}

test('spans of an app are shown where they happened, once each, in any order, and in bounds', async () => {
  const server = new LocalServer();
  const refs: string[] = [];
  await server.register(APP, 'go');
  const answers = [
    [{ op: 'StepError', id: 's1', displayName: 'one', error: { name: 'Error', message: 'once' } }],
    [{ op: 'StepRun', id: 's1', displayName: 'one', data: 1 }],
    [
      { op: 'StepPlanned', id: 's2', displayName: 'two' },
      { op: 'StepPlanned', id: 's3', displayName: 'three' },
    ],
    [{ op: 'StepRun', id: 's2', displayName: 'two', data: 2 }],
    [{ op: 'StepRun', id: 's3', displayName: 'three', data: 3 }],
    'end',
  ];
  server.app = (request) => {
    refs.push(/inngest@traceref=(.*)$/.exec(request.headers.get('tracestate') ?? '')?.[1] ?? '');
    const next = answers.shift();
    return Promise.resolve(
      new Response(JSON.stringify(next), {
        status: Array.isArray(next) ? 206 : 200,
        headers: { 'x-inngest-sdk': 'x', 'x-inngest-req-version': '2' },
      }),
    );
  };
  const sent = await server.routes.request('/e/key', { method: 'POST', body: '{"name":"go","data":{}}' });
  const { ids } = (await sent.json()) as { ids: string[] };
  await server.advance(300_000);
  const [{ run_id: run }] = (await server.runsOf(ids[0] as string)) as unknown as [{ run_id: string }];
  expect(refs).toHaveLength(6);
  const ref = (n: number): Record<string, string> => ({ 'inngest.traceref': refs[n] as string });
  const text = exportOf(
    { id: '2', run, parent: '1', name: 'inner', attributes: ref(1), atMs: 1_100 },
    { id: '1', run, parent: '9', name: 'outer', attributes: ref(1) },
    { id: '3', run, name: 'failed try', attributes: ref(0) },
    { id: '4', run, name: 'planned', attributes: ref(3) },
    { id: '5', run, name: 'told by the SDK', attributes: { 'inngest.step.hash': 's3', 'inngest.step.attempt': '0' } },
    { id: '6', run, name: 'at the end', attributes: ref(5) },
    { id: '7', run, parent: '8', name: 'loop a' },
    { id: '8', run, parent: '7', name: 'loop b' },
    { id: 'a', run, name: 'inngest.execution', attributes: ref(0) },
    { id: 'b', run: 'nothing' },
    { id: 'c', run: RUN },
  );
  expect(await send(server, text)).toEqual({ partialSuccess: { rejectedSpans: '2' } });
  const packed = new Uint8Array(
    await new Response(
      new Blob([exportOf({ id: '2', run, name: 'inner' })]).stream().pipeThrough(new CompressionStream('gzip')),
    ).arrayBuffer(),
  );
  expect(await send(server, packed, { 'content-encoding': 'gzip' })).toEqual({});
  const { children } = await traceOf(server, run);
  expect(names(children)).toEqual([
    [
      'one',
      [
        ['Attempt 0', ['failed try']],
        ['Attempt 1', [['outer', ['inner']]]],
      ],
    ],
    ['two', ['planned']],
    ['three', ['told by the SDK']],
    ['Finalization', ['at the end']],
    'loop a',
    'loop b',
  ]);
  const many = Array.from({ length: 1_000 }, (_, i) => ({ id: i.toString(16).padStart(16, 'f'), run }));
  expect(await send(server, exportOf(...many))).toEqual({ partialSuccess: { rejectedSpans: '9' } });
});
