// The platform's own floor: one object, one insert and one commit per request, nothing decided.
import { DurableObject } from 'cloudflare:workers';

export class RawObject extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL)');
  }

  async fetch(request) {
    const body = await request.text();
    const row = this.ctx.storage.sql.exec('INSERT INTO rows (body) VALUES (?) RETURNING id', body).one();
    return Response.json({ id: row.id });
  }
}

// oxlint-disable-next-line import/no-default-export -- a Worker is its default export
export default {
  fetch(request, env) {
    return env.RAW.get(env.RAW.idFromName('raw')).fetch(request);
  },
};
