// Who may import what, and what the engine may not say. The law is design.md, "The house".
import path from 'node:path';

export interface Violation {
  file: string;
  line: number;
  message: string;
}

const HARNESS = ['conformance', 'bench', 'sim', 'examples', 'scripts'];

/** Published packages of the vendors; only what drives the server from outside may use them. */
const VENDOR_PACKAGE = /^(inngest\d?|@inngest\/|@upstash\/|@trigger\.dev\/|trigger\.dev)/;
const FRAMEWORK_PACKAGE = /^(hono|wrangler|workerd|miniflare|@cloudflare\/|msw)/;

const VENDOR_WORD = /inngest|upstash|qstash|trigger\.dev|tr_(?:dev|prod|stg|pat)|opcode/i;
/** What the engine gets by injection instead. A name after a dot is somebody's method, a `fetch` may be one's own. */
const AMBIENT =
  /(?<![.\w])(?:Date\.now\(|new Date\(\)|Math\.random\(|await fetch\(|globalThis|setTimeout\(|setInterval\(|crypto\.random|crypto\.getRandom|process\.)/;

const IMPORT = /(?:^|[^\w.$])(?:from\s*|import\s*\(\s*|import\s+)(['"])([^'"\n]+)\1/g;

/**
 * Everything in one source file that the rules forbid.
 * @param file path from the project's root, with forward slashes
 */
export function findViolations(file: string, source: string): Violation[] {
  const code = withoutComments(source);
  const violations: Violation[] = [];
  const report = (index: number, message: string): void => {
    violations.push({ file, line: code.slice(0, index).split('\n').length, message });
  };
  for (const match of code.matchAll(IMPORT)) {
    const message = judgeImport(file, match[2]!);
    if (message) report(match.index, message);
  }
  if (zoneOf(file) === 'core') {
    for (const [line, text] of code.split('\n').entries()) {
      const word = VENDOR_WORD.exec(text)?.[0];
      if (word) violations.push({ file, line: line + 1, message: `"${word}" is a vendor's word; core/ knows none` });
      const ambient = isTestCode(file) ? undefined : AMBIENT.exec(text)?.[0];
      if (ambient) {
        violations.push({
          file,
          line: line + 1,
          message: `"${ambient}" is ambient; core/ gets it through core/ports.ts`,
        });
      }
    }
  }
  return violations;
}

function judgeImport(file: string, specifier: string): string | undefined {
  const from = zoneOf(file);
  if (specifier.startsWith('.')) {
    const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));
    return judgeZones(from, zoneOf(target), file, target);
  }
  const pure = from === 'core' || from.startsWith('compat/');
  if (pure && !isTestCode(file)) {
    if (specifier.startsWith('node:')) return `${from} may not import ${specifier}: it must run without Node`;
    if (VENDOR_PACKAGE.test(specifier)) return `${from} may not import the vendor's package ${specifier}`;
  }
  if (specifier.startsWith('cloudflare:') && pure)
    return `${from} may not import ${specifier}: the platform is for src/`;
  if (from === 'core' && FRAMEWORK_PACKAGE.test(specifier))
    return `core may not import ${specifier}: it knows no framework`;
  return undefined;
}

function judgeZones(from: string, to: string, file: string, target: string): string | undefined {
  if (from === to) {
    const usesHelper = from === 'core' && target.startsWith('core/testing/') && !isTestCode(file);
    return usesHelper ? `${target} is for tests only` : undefined;
  }
  const allowed =
    from === 'core'
      ? []
      : from.startsWith('compat/')
        ? ['core']
        : from === 'src'
          ? ['core', ...(to.startsWith('compat/') ? [to] : [])]
          : HARNESS.includes(from)
            ? ['core', 'src/launcher', ...HARNESS]
            : from === 'root'
              ? HARNESS
              : [];
  return allowed.includes(to) ? undefined : `${from} may not import ${to} (${target})`;
}

function zoneOf(file: string): string {
  const parts = file.split('/');
  if (parts.length === 1) return 'root';
  if (parts[0] === 'compat' && parts.length > 2) return `compat/${parts[1]}`;
  if (parts[0] === 'src' && parts[1] === 'launcher') return 'src/launcher';
  return parts[0]!;
}

function isTestCode(file: string): boolean {
  return /\.(test|suite)\.ts$/.test(file) || /^(core|compat\/[^/]+)\/testing\//.test(file);
}

const COMMENT_OR_LITERAL = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

/** Blanks comments and keeps everything else where it was, line breaks included. */
function withoutComments(source: string): string {
  return source.replace(COMMENT_OR_LITERAL, (token) =>
    token.startsWith('/*') || token.startsWith('//') ? token.replace(/[^\n]/g, ' ') : token,
  );
}
