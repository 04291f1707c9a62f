import { afterEach, describe, expect, test } from 'vitest';
import { runSuite, type CaseResult } from './runner.ts';
import { count, toJunit } from './report.ts';
import { serveHttp } from './serve.ts';
import { suite, takeDeclaredSuites, type SuiteBuilder } from './suite.ts';
import { fullTable, summaryTable } from './table.ts';
import { until } from './until.ts';

async function run(
  define: (builder: SuiteBuilder) => void,
  filter?: string,
  sdk = 'package 1.0.0',
): Promise<CaseResult[]> {
  suite({ vendor: 'qstash', name: 'sample', sdk }, define);
  const results: CaseResult[] = [];
  for (const declared of takeDeclaredSuites('conformance/qstash/sample.suite.ts')) {
    await runSuite(declared, {
      url: 'http://127.0.0.1:1',
      filter,
      takeServerLog: () => 'first line\nlast line',
      takeServerErrors: () => [],
      takeUnhandled: () => [],
      onResult: (result) => void results.push(result),
    });
  }
  return results;
}

afterEach(() => void takeDeclaredSuites(''));

describe('a suite', () => {
  test('reports what passed, failed and was skipped, each with its rows', async () => {
    const results = await run((s) => {
      s.case(['Q-1'], 'passes', () => {});
      s.case(['Q-2'], 'fails', () => Promise.reject(new Error('no such thing')));
      s.case(['Q-3'], 'waits for a feature', () => {}, { skip: 'not served' });
    });
    expect(results.map(({ ids, status, reason }) => [ids, status, reason])).toEqual([
      [['Q-1'], 'passed', undefined],
      [['Q-2'], 'failed', undefined],
      [['Q-3'], 'skipped', 'not served'],
    ]);
    expect(results[1]?.error).toContain('no such thing');
    expect(results[1]?.details).toContain('server: last line');
  });

  test('fails a case that does not end in its time', async () => {
    const [result] = await run((s) => s.case(['Q-1'], 'hangs', () => new Promise(() => {}), { timeoutMs: 5 }));
    expect(result?.error).toContain('not finished after 5 ms');
  });

  test('fails every case when its preparation fails', async () => {
    const results = await run((s) => {
      s.beforeAll(() => Promise.reject(new Error('no app')));
      s.case(['Q-1'], 'never runs', () => {});
    });
    expect(results.map((result) => result.status)).toEqual(['failed']);
    expect(results[0]?.error).toContain('beforeAll: Error: no app');
  });

  test('closes what a case opened, even when the case failed', async () => {
    let url = '';
    await run((s) => {
      s.case(['Q-1'], 'opens an app', async (context) => {
        url = (await context.serveHttp(() => new Response('here'))).url;
        throw new Error('stop');
      });
    });
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });

  test('runs only the cases of a row, not of rows that begin alike', async () => {
    const results = await run((s) => {
      s.case(['Q-1'], 'one', () => {});
      s.case(['Q-10'], 'ten', () => {});
    }, 'q-1');
    expect(results.map((result) => result.title)).toEqual(['one']);
  });
});

describe('reports', () => {
  test('a row is shown only when every case that names it passed', async () => {
    const results = await run((s) => {
      s.case(['Q-1', 'Q-2', 'Q-4'], 'passes', () => {});
      s.case(['Q-2'], 'fails | badly', () => Promise.reject(new Error('x')));
      s.case(['Q-4'], 'as a whole', () => {}, { skip: 'half of it is missing' });
    });
    expect(summaryTable(results)).toContain('| Upstash QStash and Workflow | package 1.0.0 | 1 of 2 | 1 | 1 | 86 |');
    const table = fullTable(results);
    expect(table).toMatch(/\| Q-1 \| .* \| shown \| passes \(package 1.0.0\) \|/);
    expect(table).toMatch(/\| Q-2 \| .* \| failing \| passes \(.*\); FAILED: fails \\\| badly \(.*\) \|/);
    expect(table).toMatch(/\| Q-3 \| .* \| not shown \|/);
    expect(table).toMatch(/\| Q-4 \| .* \| in part \| passes \(.*\); missing: half of it is missing \(.*\) \|/);
  });

  test('requests of our own do not show a row', async () => {
    const results = await run((s) => s.case(['Q-1'], 'passes', () => {}), undefined, 'plain HTTP');
    expect(fullTable(results)).toMatch(/\| Q-1 \| .* \| plain HTTP \|/);
  });

  test('JUnit escapes what an error message holds', async () => {
    const results = await run((s) => s.case(['Q-1'], 'a < b', () => Promise.reject(new Error('<&"\u0001'))));
    const xml = toJunit(results, 5);
    expect(xml).toContain('name="Q-1 a &lt; b"');
    expect(xml).toContain('message="Error: &lt;&amp;&quot;"');
    expect(count(results)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

describe('helpers', () => {
  test('until says what it waited for and what it last saw', async () => {
    await expect(until(() => 0, { timeoutMs: 1, everyMs: 1, what: 'the delivery' })).rejects.toThrow(
      'gave up waiting for the delivery after 1 ms; last seen: 0',
    );
  });

  test('a web handler sees the raw path and streams its answer', async () => {
    const served = await serveHttp(async (request) => new Response(`${request.url} ${await request.text()}`));
    const answer = await fetch(`${served.url}//a//b`, { method: 'POST', body: 'body' });
    expect(await answer.text()).toBe(`${served.url}//a//b body`);
    await served.close();
  });
});
