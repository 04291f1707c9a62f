import { describe, expect, it } from 'vitest';
import { MAX_EVENTS_EXAMINED } from '../model/limits.ts';
import type { RunFilter } from '../model/query.ts';
import type { Sql } from '../ports.ts';
import { TestEngine } from './harness.ts';

const DAY_MS = 86_400_000;

/** Lists, counts, logs and retention, whatever the SQLite is; used as `engineSuite`. */
export function listsSuite(open: (body: (sql: Sql) => void) => void | Promise<void>): void {
  const test = (name: string, body: (t: TestEngine) => void): void =>
    it(name, () => open((sql) => body(new TestEngine({ sql }))));

  describe('lists of runs', () => {
    test('show sizes instead of payloads, and what a run is waiting for', (t) => {
      t.register({ id: 'work' });
      const done = t.start('work', { input: '1234', meta: '{"a":1}', labels: ['x'] });
      t.report(t.one(), { op: 'complete', output: 'é'.repeat(400_000) });
      const sleeping = t.start('work', { input: new Uint8Array([1, 2, 3]) });
      t.report(t.one(), { op: 'sleep', key: 's', untilMs: t.nowMs + 500 });
      const busy = t.start('work');
      t.report(t.one(), { op: 'fail', error: '"e"', retry: 'policy' });
      t.advance(1000);
      const { items, cursor } = t.engine.query({ type: 'run-list' });
      expect(cursor).toBeUndefined();
      expect(items).toMatchObject([
        { id: busy, status: 'running', attempt: 1, leased: true, inputBytes: 0, outputBytes: 0 },
        { id: sleeping, status: 'running', leased: true, inputBytes: 3 },
        {
          id: done,
          status: 'completed',
          inputBytes: 4,
          outputBytes: 800_000,
          labels: ['x'],
          meta: '{"a":1}',
          dueAt: null,
        },
      ]);
      expect(items.some((item) => 'input' in item || 'output' in item)).toBe(false);
    });

    test('as facts say all of a run but its payloads, those of some ids together', (t) => {
      t.register({ id: 'work' });
      const done = t.start('work', { input: 'x'.repeat(1_500_000), labels: ['x'] });
      t.report(t.one(), { op: 'complete', output: 'y'.repeat(1_500_000), meta: '{"end":1}' });
      const failed = t.start('work', { meta: '{"a":1}' });
      t.report(t.one(), { op: 'fail', error: '"e"', retry: 'never' });
      const busy = t.start('work');
      const whole = t.engine.query({ type: 'runs' }).items;
      const facts = t.engine.query({ type: 'run-facts' });
      expect(facts.cursor).toBeUndefined();
      expect(facts.items).toEqual(whole.map(({ input: _in, output: _out, error: _error, ...rest }) => rest));
      expect(facts.items).toMatchObject([{ id: busy }, { id: failed }, { id: done, outcomeMeta: '{"end":1}' }]);
      const ids = [done, busy, done, '01ARZ3NDEKTSV4RRFFQ69G5FAV'];
      const of = (more: object): string[] =>
        t.engine.query({ type: 'run-facts', ids, ...more }).items.map(({ id }) => id);
      expect([of({}), of({ order: 'asc' }), of({ status: 'running' }), of({ limit: 1 })]).toEqual([
        [busy, done],
        [done, busy],
        [busy],
        [busy],
      ]);
      expect(of({ limit: 1, cursor: busy })).toEqual([done]);
    });

    test('pages of whole runs are bounded by their bytes', (t) => {
      t.register({ id: 'work' });
      const runs = Array.from({ length: 5 }, () => t.start('work', { input: 'x'.repeat(400_000) })).reverse();
      const first = t.engine.query({ type: 'runs', maxBytes: 900_000 });
      expect(first.items.map((run) => run.id)).toEqual(runs.slice(0, 2));
      const second = t.engine.query({ type: 'runs', maxBytes: 100, cursor: first.cursor as string });
      expect(second.items.map((run) => run.id)).toEqual(runs.slice(2, 3));
      const rest = t.engine.query({ type: 'runs', cursor: second.cursor as string });
      expect(rest).toMatchObject({ items: runs.slice(3).map((id) => ({ id })) });
      expect(rest.cursor).toBeUndefined();
    });

    test('every filter finds the same runs over every index, in pages of any size', (t) => {
      t.register({ id: 'a', index: ['task', 'status'] }, { id: 'b' }, { id: 'idle' });
      const all = new Map<string, { task: string; status: string; labels: string[]; at: number }>();
      for (let i = 0; i < 40; i++) {
        const task = i % 3 === 0 ? 'b' : 'a';
        const labels = [...(i % 2 === 0 ? ['even'] : []), ...(i % 5 === 0 ? ['five'] : [])];
        const id = t.start(task, { labels });
        const call = t.one();
        const status = i % 4 === 0 ? 'completed' : i % 4 === 1 ? 'failed' : 'running';
        if (status === 'completed') t.report(call, { op: 'complete', output: null });
        else if (status === 'failed') t.report(call, { op: 'fail', error: '1', retry: 'never' });
        else if (i % 4 === 2) t.report(call);
        all.set(id, { task, status, labels, at: t.nowMs });
        t.nowMs += 10;
      }
      const start = [...all.values()][0]?.at as number;
      const filters: Array<
        [RunFilter, (run: { task: string; status: string; labels: string[]; at: number }) => boolean]
      > = [
        [{}, () => true],
        [{ task: 'a' }, (run) => run.task === 'a'],
        [{ task: 'b' }, (run) => run.task === 'b'],
        [{ tasks: ['a', 'b'], status: ['failed', 'completed'] }, (run) => run.status !== 'running'],
        [{ task: 'a', status: 'failed' }, (run) => run.task === 'a' && run.status === 'failed'],
        [{ status: 'running' }, (run) => run.status === 'running'],
        [{ status: 'running', taskPrefix: 'b' }, (run) => run.status === 'running' && run.task === 'b'],
        [{ label: 'even' }, (run) => run.labels.includes('even')],
        [{ labels: ['five', 'even'] }, (run) => run.labels.length === 2],
        [{ anyLabels: ['five', 'even'], task: 'b' }, (run) => run.task === 'b' && run.labels.length > 0],
        [{ fromMs: start + 100, toMs: start + 200 }, (run) => run.at >= start + 100 && run.at <= start + 200],
      ];
      for (const [filter, matches] of filters)
        for (const limit of [3, 7, 1000])
          for (const order of ['asc', 'desc'] as const) {
            const expected = [...all].filter(([, run]) => matches(run)).map(([id]) => id);
            if (order === 'desc') expected.reverse();
            const found: string[] = [];
            let cursor: string | undefined;
            do {
              const page = t.engine.query({
                type: 'run-list',
                ...filter,
                limit,
                order,
                ...(cursor === undefined ? {} : { cursor }),
              });
              found.push(...page.items.map((run) => run.id));
              cursor = page.cursor;
            } while (cursor !== undefined);
            expect(found, JSON.stringify({ filter, limit, order })).toEqual(expected);
            expect(t.engine.query({ type: 'run-count', ...filter })).toEqual({ count: expected.length, more: false });
          }
      expect(t.engine.query({ type: 'run-count', max: 10 })).toEqual({ count: 10, more: true });
    });

    test('events are read by their ids together, those that are not kept left out', (t) => {
      const sent = ['x', 'x', 'y'].map((name) => ({ name, body: '{}', ts: t.nowMs }));
      const events = t.apply({ type: 'ingest', events: sent }).ids;
      const { items, left } = t.engine.query({ type: 'events-of', ids: [...events, '01ARZ3NDEKTSV4RRFFQ69G5FAV'] });
      expect(items.map(({ id, name }) => [id, name])).toEqual(events.map((id, i) => [id, i < 2 ? 'x' : 'y']));
      expect(left).toEqual([]);
      const many = Array.from({ length: 1_500 }, (_, i) => `${i}`);
      expect(t.engine.query({ type: 'events-of', ids: many }).left).toEqual(many.slice(1_000));
    });

    test('a list of events with a filter looks at a bounded number of them, and goes on where it stopped', (t) => {
      const sent = Array.from({ length: MAX_EVENTS_EXAMINED + 10 }, (_, i) => ({
        id: `e${String(i).padStart(6, '0')}`,
        name: i === 5 ? 'rare' : i % 2 === 0 ? 'even' : 'odd',
        body: '{}',
        ts: t.nowMs,
      }));
      t.apply({ type: 'ingest', events: sent });
      const rare = { type: 'events', name: 'rare', limit: 5 } as const;
      const first = t.engine.query(rare);
      expect(first).toEqual({ items: [], cursor: 'e000010' });
      const second = t.engine.query({ ...rare, cursor: 'e000010' });
      expect(second.items.map(({ id }) => id)).toEqual(['e000005']);
      expect(second.cursor).toBeUndefined();
      expect(t.engine.query({ ...rare, order: 'asc' })).toMatchObject({
        items: [{ id: 'e000005' }],
        cursor: `e0${MAX_EVENTS_EXAMINED - 1}`,
      });
      const common = t.engine.query({ type: 'events', names: ['odd', 'rare'], limit: 2 });
      expect(common).toMatchObject({ items: [{ id: 'e020009' }, { id: 'e020007' }], cursor: 'e020007' });
      expect(t.engine.query({ type: 'event-count', name: 'odd' })).toEqual({ count: 1_000, more: true });
      expect(t.engine.query({ type: 'event-count', name: 'rare' })).toEqual({
        count: 0,
        more: true,
        cursor: 'e000010',
      });
      expect(t.engine.query({ type: 'event-count', name: 'rare', cursor: 'e000010' })).toEqual({
        count: 1,
        more: false,
      });
    });

    test('a page of exactly what one look reaches, with nothing behind it, is the last', (t) => {
      const sent = Array.from({ length: MAX_EVENTS_EXAMINED }, () => ({ name: 'x', body: '{}', ts: t.nowMs }));
      t.apply({ type: 'ingest', events: sent });
      expect(t.engine.query({ type: 'events', name: 'y' })).toEqual({ items: [] });
    });

    test('a task may be indexed later: its runs from before are found too', (t) => {
      t.register({ id: 'work' });
      const finish = (): string => {
        const run = t.start('work');
        t.report(t.one(), { op: 'complete', output: null });
        return run;
      };
      const before = finish();
      t.register({ id: 'work', index: ['task', 'status'], log: 'l' });
      const after = finish();
      for (const filter of [{ task: 'work' }, { task: 'work', status: 'completed' as const }])
        expect(t.engine.query({ type: 'run-list', ...filter }).items.map((run) => run.id)).toEqual([after, before]);
      expect(t.engine.query({ type: 'log', log: 'l' }).items.map(({ run, seq }) => [run, seq])).toEqual(
        expect.arrayContaining(
          [after, before].flatMap((run) => [
            [run, 1],
            [run, 0],
          ]),
        ),
      );
    });

    test('a run that waits for nothing is among those that have not ended', (t) => {
      t.register({ id: 'work' });
      const run = t.start('work');
      t.report(t.one());
      expect(t.engine.query({ type: 'run-detail', run })?.pending).toEqual([]);
      expect(t.engine.query({ type: 'run-list', status: 'running' }).items).toMatchObject([{ id: run, dueAt: null }]);
    });

    test('a history is read in pages of bytes', (t) => {
      t.register({ id: 'work' });
      const run = t.start('work');
      for (const key of ['a', 'b', 'c'])
        t.report(t.one(), { op: 'step', key, data: 'x'.repeat(400_000), again: 'each' });
      const page = (afterSeq: number): number[] =>
        t.engine.query({ type: 'history', run, afterSeq, maxBytes: 800_000 }).map((entry) => entry.seq);
      expect([page(0), page(2), page(3)]).toEqual([[1, 2], [3], []]);
    });

    test('what is not asked for costs nothing: an index or a log is a row for each run that has it', (t) => {
      const rows = (task: string): number => {
        const before = t.sql.rowsWritten();
        t.start(task);
        t.report(t.one(), { op: 'complete', output: null });
        return t.sql.rowsWritten() - before;
      };
      t.register({ id: 'plain' }, { id: 'indexed', index: ['task', 'status'] }, { id: 'logged', log: 'l' });
      const plain = rows('plain');
      expect(rows('indexed') - plain).toBe(2);
      expect(rows('logged') - plain).toBe(2);
    });
  });

  describe('a log over many runs', () => {
    const lines = (t: TestEngine, request: object = {}): string[] =>
      t.engine
        .query({ type: 'log', log: 'l', limit: 1000, ...request })
        .items.map(
          ({ atMs, run, seq, entry }) => `${atMs % 1000} ${run.slice(-3)} ${seq} ${entry?.body.kind ?? 'start'}`,
        );

    test('is in order of time over all runs, with entries and runs, and what is in hand now', (t) => {
      t.register({ id: 'work', log: 'l' }, { id: 'other' });
      const one = t.start('work', { input: '"one"', labels: ['x'] });
      const first = t.one();
      t.nowMs += 1;
      const two = t.start('work', { input: '"two"' });
      const second = t.one();
      t.start('other');
      t.nowMs += 1;
      t.report(first, { op: 'fail', error: '"no"', retry: 'policy' });
      t.nowMs += 1;
      t.report(second, { op: 'complete', output: '"yes"' });
      t.advance(1000);
      const retried = t.calls.at(-1);
      const page = t.engine.query({ type: 'log', log: 'l', inputs: true });
      expect(
        page.items.map(({ run, seq, entry }) => [run, seq, entry?.body.kind ?? 'start', entry?.data ?? null]),
      ).toEqual([
        [two, 1, 'end', '"yes"'],
        [one, 1, 'retry', '"no"'],
        [two, 0, 'start', null],
        [one, 0, 'start', null],
      ]);
      expect(page.active).toEqual([{ run: one, key: '', attempt: 1, sinceMs: retried?.leasedAt }]);
      expect(page.runs[one]).toMatchObject({ id: one, status: 'running', input: '"one"' });
      expect(page.runs[two]).toMatchObject({ status: 'completed', input: '"two"' });
      expect(t.engine.query({ type: 'log', log: 'l', labels: ['x'] }).items).toHaveLength(2);
      expect(t.engine.query({ type: 'log', log: 'nothing' })).toEqual({ items: [], runs: {}, active: [] });
      const all = lines(t);
      const paged: string[] = [];
      let cursor: string | undefined;
      do {
        const next = t.engine.query({ type: 'log', log: 'l', limit: 1, ...(cursor === undefined ? {} : { cursor }) });
        paged.push(...next.items.map(({ run, seq }) => `${run} ${seq}`));
        cursor = next.cursor;
      } while (cursor !== undefined);
      expect(paged).toHaveLength(all.length);
      expect(lines(t, { order: 'asc' })).toEqual(all.toReversed());
      const third = page.items[2];
      expect(lines(t, { cursor: third?.cursor, inclusive: true })).toEqual(all.slice(2));
    });

    test('its pages are bounded by bytes', (t) => {
      t.register({ id: 'work', log: 'l' });
      for (let i = 0; i < 4; i++) {
        t.start('work', { input: 'x'.repeat(400_000) });
        t.report(t.one(), { op: 'complete', output: 'y'.repeat(400_000) });
        t.nowMs += 1;
      }
      const found: number[] = [];
      let cursor: string | undefined;
      let pages = 0;
      do {
        const page = t.engine.query({
          type: 'log',
          log: 'l',
          inputs: true,
          maxBytes: 1_000_000,
          ...(cursor === undefined ? {} : { cursor }),
        });
        expect(Object.keys(page.runs).length).toBeLessThanOrEqual(3);
        found.push(...page.items.map(({ seq }) => seq));
        cursor = page.cursor;
        pages++;
      } while (cursor !== undefined);
      expect(found).toEqual([1, 0, 1, 0, 1, 0, 1, 0]);
      expect(pages).toBeGreaterThan(2);
    });
  });

  describe('retention', () => {
    test('a task may keep its runs for another time, a failed run stays as long as its dead letter', (t) => {
      t.register(
        { id: 'long' },
        { id: 'short', log: 'l', retention: { runMs: DAY_MS } },
        { id: 'letters', retention: { runMs: DAY_MS, deadLetterMs: 3 * DAY_MS } },
      );
      const finish = (task: string, fails = false): string => {
        const run = t.start(task);
        t.report(t.one(), fails ? { op: 'fail', error: '1', retry: 'never' } : { op: 'complete', output: null });
        return run;
      };
      const long = finish('long');
      const short = finish('short');
      const ok = finish('letters');
      const failed = finish('letters', true);
      t.engine.kernel.deadLetters.put('L', failed, '{}');
      const kept = (): string[] => [long, short, ok, failed].filter((run) => t.status(run) !== null);
      t.advance(DAY_MS / 2);
      expect(kept()).toEqual([long, short, ok, failed]);
      t.advance(DAY_MS);
      expect(kept()).toEqual([long, failed]);
      expect(t.sql.all(`SELECT * FROM log`)).toEqual([]);
      expect(t.sql.all(`SELECT * FROM labels`)).toEqual([]);
      expect(t.engine.query({ type: 'dead-letter', id: 'L' })).not.toBeNull();
      t.advance(3 * DAY_MS);
      expect(kept()).toEqual([long]);
      expect(t.engine.query({ type: 'dead-letter', id: 'L' })).toBeNull();
      t.advance(30 * DAY_MS);
      expect(kept()).toEqual([]);
    });
  });
}
