// The page over a mock site, to work on it: node test/web/mock/serve.ts [scenario] [port]
import { pull } from './data.ts';
import { SCENARIOS } from './scenarios.ts';
import { startMockServer } from './server.ts';

// How often (ms) the mock makes something up that has happened.
const PULL_EVERY = 2_000;

const [name = 'oneFailing', port = '5090'] = process.argv.slice(2);
const scenario = SCENARIOS[name as keyof typeof SCENARIOS];
if (!scenario) throw new Error(`${name} is none of ${Object.keys(SCENARIOS).join(', ')}`);
const mock = await startMockServer(scenario(), {
  port: Number(port),
  ...(process.env['TOKEN'] ? { token: process.env['TOKEN'] } : {}),
});
console.log(`${name}: ${mock.url}`);
let id = 1_000;
setInterval(() => {
  id += 1;
  mock.pushPulls([pull(id, 0)]);
  mock.push();
}, PULL_EVERY);
