import chromium from '@sparticuz/chromium';
import { build } from 'esbuild';
import { chromium as playwright, type Browser, type Page } from 'playwright-core';
import type { CaseContext } from './context.ts';
import { Skip } from './suite.ts';

/** Of those that the package recommends not the one with which closing a page ends the browser. */
const ARGS = chromium.args.filter((arg) => arg !== '--single-process' && arg !== '--no-zygote');

const bundles = new Map<string, Promise<string>>();

/** A page's code, made once. */
function bundled(app: string): Promise<string> {
  let bundle = bundles.get(app);
  if (!bundle) {
    bundle = build({
      entryPoints: [app],
      bundle: true,
      write: false,
      format: 'iife',
      platform: 'browser',
      // Loaded when it is there only.
      external: ['node:*'],
      define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}' },
      logLevel: 'silent',
    }).then(({ outputFiles }) => outputFiles[0]?.text ?? '');
    bundles.set(app, bundle);
  }
  return bundle;
}

/** The browser that comes with its package where there is one for this machine, else an installed one. @throws Skip when none can be started */
export async function startBrowser(): Promise<Browser> {
  const reasons: string[] = [];
  const isPackaged = process.platform === 'linux' && process.arch === 'x64';
  for (const launch of [
    ...(isPackaged
      ? [async () => playwright.launch({ executablePath: await chromium.executablePath(), args: ARGS })]
      : []),
    () => playwright.launch({ channel: 'chrome' }),
  ]) {
    try {
      return await launch();
    } catch (error) {
      reasons.push((error instanceof Error ? error.message : String(error)).split('\n')[0] as string);
    }
  }
  throw new Skip(`no browser can be started here: ${reasons.join('; ')}`);
}

/** Opens a page with the code of `app` at an origin of its own and hands `window.show` what to show. */
export async function openPage(context: CaseContext, browser: Browser, app: string, show: object): Promise<Page> {
  const html = `<!doctype html><div id="root"></div><script src="/app.js"></script>`;
  const code = await bundled(app);
  const served = await context.serveHttp((request) =>
    new URL(request.url).pathname === '/app.js'
      ? new Response(code, { headers: { 'content-type': 'text/javascript' } })
      : new Response(html, { headers: { 'content-type': 'text/html' } }),
  );
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(`the page failed: ${error.message}`));
  await page.goto(served.url);
  await page.evaluate(`window.show(${JSON.stringify(show)})`);
  return page;
}

/** What a hook has given so far: `all` of it, and the `last`. */
export async function seenBy<T>(page: Page, name: string): Promise<{ all: T[]; last?: T; error?: string }> {
  return (await page.evaluate(`window.seen[${JSON.stringify(name)}] ?? { all: [] }`)) as {
    all: T[];
    last?: T;
    error?: string;
  };
}
