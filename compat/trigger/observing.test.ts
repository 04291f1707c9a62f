import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { Session, task } from './testing/session.ts';
import { treeOf } from './telemetry.ts';
import type { TelemetryRecord } from './otlp.ts';

let s: Session;
beforeEach(async () => {
  s = new Session();
  await s.register([task('work'), task('other')]);
});

const attribute = (key: string, value: string | number | boolean): object => ({
  key,
  value:
    typeof value === 'string'
      ? { stringValue: value }
      : typeof value === 'number'
        ? { intValue: String(value) }
        : { boolValue: value },
});

/** The address of a worker's exporter: it is told at the start of an attempt. */
async function exporterOf(run: string): Promise<string> {
  const [call] = s.t.engine.lease({ pool: 'trigger/proj_test/dev', max: 1, holdMs: 60_000, holder: 'w' });
  const seq = s.t.engine.query({ type: 'run', run: call?.run ?? '' })?.seq ?? 0;
  const snapshot = `snapshot_${seq.toString(32).padStart(9, '0')}00_${call?.lease}`;
  const started = await s.send('POST', `/engine/v1/dev/runs/${run}/snapshots/${snapshot}/attempts/start`, {});
  const { envVars } = started.body as { envVars: Record<string, string> };
  return new URL(envVars.TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT ?? '').pathname;
}

describe('telemetry', () => {
  const nanos = (ms: number): string => `${s.t.nowMs + ms}000000`;
  const context = (run: string): object[] => [attribute('ctx.run.id', run), attribute('ctx.attempt.number', 1)];
  const spans = (run: string, list: object[]): object => ({
    resourceSpans: [{ resource: { attributes: context(run) }, scopeSpans: [{ spans: list }] }],
  });

  it('of a worker becomes the tree, the spans and the log lines of its run', async () => {
    const run = await s.trigger();
    const exporter = await exporterOf(run);
    const [trace, page] = ['a'.repeat(32), `/api/v1/runs/${run}`];
    const outer = { traceId: trace, spanId: '1'.repeat(16), name: 'Attempt 1', startTimeUnixNano: nanos(1) };
    const partial = { ...outer, attributes: [attribute('$span.partial', true)] };
    const ended = {
      ...outer,
      endTimeUnixNano: nanos(21),
      attributes: [attribute('size', 7), attribute('$style.icon', 'x')],
    };
    const inner = {
      traceId: trace,
      spanId: '2'.repeat(16),
      parentSpanId: outer.spanId,
      name: 'fetch',
      startTimeUnixNano: nanos(2),
      endTimeUnixNano: nanos(4),
      status: { code: 2 },
      events: [{ name: 'exception', timeUnixNano: nanos(3), attributes: [attribute('exception.message', 'no')] }],
    };
    const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
      Promise.resolve(
        s.app.request(`${exporter}/v1/${path}`, {
          method: 'POST',
          body: (headers['content-encoding'] ? gzipSync(JSON.stringify(body)) : JSON.stringify(body)) as BodyInit,
          headers,
        }),
      );
    expect((await post('traces', spans(run, [partial]))).status).toBe(200);
    expect((await post('traces', spans(run, [ended, inner]), { 'content-encoding': 'gzip' })).status).toBe(200);
    // A beginning that arrives late does not undo the end.
    await post('traces', spans(run, [partial]));
    const line = { timeUnixNano: nanos(3), severityNumber: 13, body: { stringValue: 'careful' }, spanId: inner.spanId };
    const logs = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ ...line, attributes: context(run) }] }] }] };
    for (let i = 0; i < 2; i++) await post('logs', logs);

    const { trace: tree } = await s.ok<{ trace: { rootSpan: Node } }>(
      'RetrieveRunTraceResponseBody',
      'GET',
      `${page}/trace`,
    );
    const [attempt] = tree.rootSpan.children;
    expect([
      tree.rootSpan.data.message,
      attempt?.data.message,
      attempt?.data.duration,
      attempt?.data.isPartial,
    ]).toEqual(['work', 'Attempt 1', 20_000_000, false]);
    expect(attempt?.data.properties).toEqual({ size: 7 });
    expect(attempt?.children.map((child) => [child.data.message, child.data.isError])).toEqual([['fetch', true]]);
    expect(attempt?.children[0]?.children.map((child) => [child.data.message, child.data.level])).toEqual([
      ['careful', 'WARN'],
    ]);
    const { events } = (await s.send('GET', `${page}/events`)).body as { events: Array<{ message: string }> };
    expect(events.map((event) => event.message)).toEqual(['work', 'Attempt 1', 'fetch', 'careful']);
    const span = await s.ok<object>('RetrieveSpanDetailResponseBody', 'GET', `${page}/spans/${inner.spanId}`);
    expect(span).toMatchObject({ parentId: outer.spanId, durationMs: 2, events: [{ name: 'exception' }] });
    interface Paged {
      data: Array<{ message: string }>;
      pagination: { next?: string };
      attemptFailures: object[];
    }
    const first = await s.ok<Paged>('RetrieveRunTracePageResponseBody', 'GET', `${page}/trace?page[size]=2`);
    const rest = await s.ok<Paged>(
      'RetrieveRunTracePageResponseBody',
      'GET',
      `${page}/trace?page[size]=2&page[after]=${first.pagination.next}`,
    );
    expect([...first.data, ...rest.data].map((item) => item.message)).toEqual([
      'work',
      'Attempt 1',
      'fetch',
      'careful',
    ]);
    expect([rest.pagination.next, rest.attemptFailures]).toEqual([
      undefined,
      [{ spanId: inner.spanId, attemptNumber: 1, runId: run }],
    ]);
    // It goes with time.
    s.t.advance(8 * 86_400_000);
    expect(((await s.send('GET', `${page}/events`)).body as { events: object[] }).events).toHaveLength(1);
  });

  interface Node {
    data: {
      message: string;
      duration: number;
      isError: boolean;
      isPartial: boolean;
      level: string;
      properties?: object;
    };
    children: Node[];
  }

  it('is refused from anywhere else, in other forms and of strangers, and never a failure of the server', async () => {
    const run = await s.trigger();
    const exporter = await exporterOf(run);
    const post = async (path: string, body: BodyInit, headers: Record<string, string> = {}): Promise<number> =>
      (await s.app.request(path, { method: 'POST', body, headers })).status;
    expect(await post(`/otel/default/${'0'.repeat(32)}/v1/traces`, '{}')).toBe(401);
    expect(await post(`${exporter}/v1/traces`, 'nonsense')).toBe(400);
    expect(await post(`${exporter}/v1/logs`, '{"resourceLogs":7}')).toBe(400);
    expect(await post(`${exporter}/v1/traces`, 'not gzip', { 'content-encoding': 'gzip' })).toBe(400);
    expect(await post(`${exporter}/v1/traces`, '{}', { 'content-type': 'application/x-protobuf' })).toBe(400);
    const bomb = gzipSync(Buffer.alloc(20_000_000, ' '));
    expect(await post(`${exporter}/v1/traces`, bomb as BodyInit, { 'content-encoding': 'gzip' })).toBe(413);
    const stranger = spans('run_01h00000000000000000000000', [
      { traceId: 'a', spanId: 'b', name: 'x', startTimeUnixNano: '1', endTimeUnixNano: '2' },
    ]);
    expect(await post(`${exporter}/v1/traces`, JSON.stringify(stranger))).toBe(200);
    expect(s.t.sql.all(`SELECT 1 FROM records WHERE collection LIKE 'trigger/telemetry/%'`)).toEqual([]);
    // Of workers that know no address of theirs.
    expect(await post('/otel/v1/traces', '{}')).toBe(200);
  });

  it('makes a tree of spans in a circle, without their parents, and very deep', () => {
    const span = (id: string, parentId?: string): TelemetryRecord =>
      ({ id, ...(parentId === undefined ? {} : { parentId }) }) as TelemetryRecord;
    const count = (node: ReturnType<typeof treeOf>): number =>
      node.children.reduce((total, child) => total + count(child), 1);
    const deep = Array.from({ length: 5_000 }, (_, i) => span(`d${i}`, i === 0 ? 'root' : `d${i - 1}`));
    const odd = [span('a', 'b'), span('b', 'a'), span('self', 'self'), span('lost', 'nobody'), span('root2')];
    expect(count(treeOf(span('root'), [...deep, ...odd]))).toBe(5_006);
  });
});

describe('lists of runs', () => {
  const list = async (query: string): Promise<{ ids: string[]; next?: string; previous?: string }> => {
    const page = await s.ok<{ data: Array<{ id: string }>; pagination: { next?: string; previous?: string } }>(
      'ListRunResponse',
      'GET',
      `/api/v1/runs?${query}`,
    );
    return { ids: page.data.map((item) => item.id), ...page.pagination };
  };

  it('take every filter, alone and together', async () => {
    const plain = await s.trigger();
    const tagged = await s.trigger('work', { tags: ['x', 'y'], machine: 'large-1x', region: 'eu', test: true });
    const queued = await s.trigger('other', { queue: { name: 'slow' }, tags: ['y'] });
    const delayed = await s.trigger('other', { delay: '1h' });
    await s.send('POST', `/api/v2/runs/${plain}/cancel`);
    const day = 86_400_000;
    for (const [query, ids] of [
      ['filter[taskIdentifier]=other', [delayed, queued]],
      ['filter[taskIdentifier]=other,work', [delayed, queued, tagged, plain]],
      ['filter[status]=DELAYED', [delayed]],
      ['filter[status]=CANCELED,DELAYED', [delayed, plain]],
      ['filter[tag]=x', [tagged]],
      ['filter[tag]=x,y', [queued, tagged]],
      ['filter[tag]=y&filter[taskIdentifier]=other', [queued]],
      ['filter[queue]=slow', [queued]],
      ['filter[queue]=task/work', [tagged, plain]],
      ['filter[machine]=large-1x', [tagged]],
      ['filter[region]=eu', [tagged]],
      ['filter[isTest]=true', [tagged]],
      ['filter[isTest]=false&filter[status]=QUEUED', [queued]],
      ['filter[createdAt][period]=1d', [delayed, queued, tagged, plain]],
      [`filter[createdAt][from]=${s.t.nowMs + day}`, []],
      [`filter[createdAt][to]=${s.t.nowMs - day}`, []],
      ['filter[schedule]=sched_none', []],
      ['filter[bulkAction]=bulk_none', []],
      ['filter[batch]=batch_none', []],
    ] as const)
      expect((await list(query)).ids, query).toEqual(ids);
  });

  it.each([
    ['filter[createdAt][from]=soon', /createdAt/],
    ['filter[status]=QUEUED,DONE', /Invalid status values: DONE/],
    ['filter[isTest]=maybe', /isTest/],
    ['page[size]=500', /page\[size\]/],
    ['page[size]=none', /page\[size\]/],
  ])('refuse %s', async (query, message) => {
    const answer = await s.send('GET', `/api/v1/runs?${query}`);
    expect(answer.status).toBe(400);
    expect((answer.body as { error: string }).error).toMatch(message);
  });

  it('show the metadata of each run: as given, as changed, or none; so do runs of a family', async () => {
    const parent = await s.trigger('work', { metadata: '{"given":1}', metadataType: 'application/json' });
    const child = await s.trigger('other', { parentRunId: parent });
    const changed = { operations: [{ type: 'set', key: 'state', value: 'on' }] };
    await s.ok('UpdateMetadataResponseBody', 'PUT', `/api/v1/runs/${child}/metadata`, changed);
    const plain = await s.trigger();
    const { body } = await s.send('GET', '/api/v1/runs');
    const shown = (body as { data: Array<{ id: string; metadata?: unknown }> }).data;
    expect(shown.map(({ id, metadata }) => [id, metadata])).toEqual([
      [plain, undefined],
      [child, { state: 'on' }],
      [parent, { given: 1 }],
    ]);
    expect(await s.run(parent)).toMatchObject({
      relatedRuns: { children: [{ id: child, metadata: { state: 'on' } }] },
    });
    expect(await s.run(child)).toMatchObject({
      relatedRuns: { parent: { id: parent, metadata: { given: 1 } }, root: { id: parent } },
    });
  });

  it('go forward and back in pages', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) ids.unshift(await s.trigger());
    const first = await list('page[size]=3');
    const second = await list(`page[size]=3&page[after]=${first.next}`);
    const third = await list(`page[size]=3&page[after]=${second.next}`);
    expect([...first.ids, ...second.ids, ...third.ids]).toEqual(ids);
    expect([first.previous, third.next]).toEqual([undefined, undefined]);
    const back = await list(`page[size]=3&page[before]=${third.previous}`);
    expect(back.ids).toEqual(second.ids);
  });
});

describe('bulk actions', () => {
  interface Bulk {
    id: string;
    status: string;
    counts: object;
  }
  const create = async (body: object, headers: Record<string, string> = {}): Promise<string> =>
    (await s.ok<Bulk>('CreateBulkActionResponseBody', 'POST', '/api/v1/bulk-actions', body, { headers })).id;
  const read = (id: string): Promise<Bulk> => s.ok('BulkActionObject', 'GET', `/api/v1/bulk-actions/${id}`);

  // Many requests, on a machine that others use too.
  it('cancel what matches, in the background, and tell how many', { timeout: 60_000 }, async () => {
    for (let i = 0; i < 1_250; i++) await s.trigger('work', { tags: ['old'] });
    const kept = await s.trigger('work', { tags: ['new'] });
    const id = await create({ action: 'cancel', filter: { tag: 'old' }, name: 'clean up' });
    expect(await read(id)).toMatchObject({ name: 'clean up', type: 'CANCEL', status: 'PENDING' });
    for (let i = 0; i < 20; i++) s.t.advance(10);
    expect(await read(id)).toMatchObject({ status: 'COMPLETED', counts: { total: 1_250, success: 1_250, failure: 0 } });
    expect(await s.run(kept)).toMatchObject({ status: 'QUEUED' });
    const page = await s.send('GET', `/api/v1/runs?filter[bulkAction]=${id}&page[size]=100`);
    expect((page.body as { data: object[] }).data).toHaveLength(100);
    const list = await s.ok<{ data: Bulk[] }>('ListBulkActionsResponseBody', 'GET', '/api/v1/bulk-actions');
    expect(list.data.map((item) => item.id)).toEqual([id]);
  });

  it('replay runs by id: new runs with the same payload and tags, found by the action; those unknown count as failed', async () => {
    const runs = [await s.trigger('work', { tags: ['a'] }), await s.trigger('other')];
    s.finish();
    const body = { action: 'replay', runIds: [...runs, 'run_01h00000000000000000000000'], targetRegion: 'eu' };
    const headers = { 'x-trigger-request-idempotency-key': 'same' };
    const id = await create(body, headers);
    expect(await create(body, headers)).toBe(id);
    for (let i = 0; i < 5; i++) s.t.advance(10);
    expect(await read(id)).toMatchObject({ type: 'REPLAY', counts: { total: 3, success: 2, failure: 1 } });
    const page = await s.send('GET', `/api/v1/runs?filter[bulkAction]=${id}&filter[status]=QUEUED`);
    const { data } = page.body as { data: Array<{ id: string; tags: string[]; region: string }> };
    expect(data.map((item) => [item.tags, item.region]).sort()).toEqual([
      [[], 'eu'],
      [['a'], 'eu'],
    ]);
    expect(runs).not.toContain(data[0]?.id);
  });

  it('are stopped where they stand', { timeout: 60_000 }, async () => {
    for (let i = 0; i < 450; i++) await s.trigger();
    const id = await create({ action: 'cancel', filter: { taskIdentifier: ['work'] } });
    s.t.advance(10);
    await s.ok('AbortBulkActionResponseBody', 'POST', `/api/v1/bulk-actions/${id}/abort`);
    for (let i = 0; i < 5; i++) s.t.advance(10);
    expect(await read(id)).toMatchObject({ status: 'ABORTED', counts: { total: 450, success: 200 } });
    expect((await s.send('POST', `/api/v1/bulk-actions/${id}/abort`)).status).toBe(409);
  });

  it.each([
    [{ action: 'cancel' }, /Exactly one of filter or runIds/],
    [{ action: 'cancel', filter: {} }, /At least one filter/],
    [{ action: 'cancel', filter: { tag: 'x' }, runIds: ['run_1'] }, /Exactly one/],
    [{ action: 'delete', filter: { tag: 'x' } }, /Invalid request body/],
  ])('refuse %j', async (body, message) => {
    const answer = await s.send('POST', '/api/v1/bulk-actions', body);
    expect(answer.status).toBe(400);
    expect((answer.body as { error: string }).error).toMatch(message);
  });
});
