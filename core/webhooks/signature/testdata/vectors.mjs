// Makes vectors.json: deliveries that the vendors' own SDKs have signed, or, where an SDK only verifies, have accepted.
// In an empty folder: npm install stripe@23.1.0 svix@1.99.1 standardwebhooks@1.1.1 twilio@6.2.0 @slack/bolt@5.1.0 @paddle/paddle-node-sdk@3.10.0
//   @linear/sdk@98.0.0 @sendgrid/eventwebhook@8.0.0 discord-interactions@4.4.0 sns-validator@0.3.5 @shopify/shopify-api@13.1.0 @octokit/webhooks-methods@6.0.0
// then, with node 20 and openssl: node vectors.mjs > vectors.json (this file copied there; the keys of discord, sendgrid and sns are new each time).
import assert from 'node:assert';
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import { execFileSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const now = 1800000000; // of all deliveries; sns's certificate has to be made before it
Date.now = () => now * 1000;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...args) { args.length ? super(...args) : super(now * 1000); }
};

const vectors = [];
const base64 = (text) => Buffer.from(text).toString('base64');
const version = (name) => name + ' ' + JSON.parse(fs.readFileSync(`node_modules/${name}/package.json`)).version;
function add(scheme, sdk, secret, body, headers, more = {}) {
  vectors.push({ scheme, sdk: version(sdk), secret, body: base64(body), headers, at: now, ...more });
}
const hmac = (alg, key, text, enc) => crypto.createHmac(alg, key).update(text).digest(enc);

const json = '{"id":"evt_1","type":"invoice.paid","note":"café \\u00e9 \\/ <b>","data":{"object":{"customer":"cus_1"}}}';

{ // Stripe
  const stripe = new (require('stripe').default ?? require('stripe'))('sk_test_1');
  const secret = 'whsec_5f0b3c4fa1f24bd9a2d5';
  const header = stripe.webhooks.generateTestHeaderString({ payload: json, secret, timestamp: now });
  assert(stripe.webhooks.constructEvent(json, header, secret));
  add('stripe', 'stripe', secret, json, { 'Stripe-Signature': header }, { id: 'evt_1', type: 'invoice.paid' });
  const two = header.replace(',v1=', ',v1=' + '0'.repeat(64) + ',v1=') + ',v0=' + 'a'.repeat(64);
  assert(stripe.webhooks.constructEvent(json, two, secret));
  add('stripe', 'stripe', secret, json, { 'Stripe-Signature': two }, { id: 'evt_1', type: 'invoice.paid' });
}
{ // Standard Webhooks and Svix
  const { Webhook } = require('standardwebhooks');
  const secret = 'whsec_' + base64('0123456789abcdef01234567');
  const id = 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W';
  const signature = new Webhook(secret).sign(id, new Date(now * 1000), json);
  const headers = { 'webhook-id': id, 'webhook-timestamp': String(now), 'webhook-signature': 'v2,AAAA ' + signature };
  assert(new Webhook(secret).verify(json, headers));
  add('standard', 'standardwebhooks', secret, json, headers, { id, type: 'invoice.paid' });

  const svix = require('svix');
  const svixHeaders = { 'svix-id': id, 'svix-timestamp': String(now), 'svix-signature': new svix.Webhook(secret).sign(id, new Date(now * 1000), json) };
  assert(new svix.Webhook(secret).verify(json, svixHeaders));
  add('standard', 'svix', secret, json, svixHeaders, { id, type: 'invoice.paid' });
}
{ // GitHub
  const { sign, verify } = await import('@octokit/webhooks-methods');
  const secret = "It's a Secret to Everybody";
  const signature = await sign(secret, json);
  assert(await verify(secret, json, signature));
  add('github', '@octokit/webhooks-methods', secret, json,
    { 'X-Hub-Signature-256': signature, 'X-GitHub-Delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958', 'X-GitHub-Event': 'push' },
    { id: '72d3162e-cc78-11e3-81ab-4c9367dc0958', type: 'push' });
}
{ // Slack
  const { verifySlackRequest } = require('./node_modules/@slack/bolt/dist/receivers/verify-request.js');
  const secret = '8f742231b10e8888abcd99yyyzzz85a5';
  for (const [body, type, expect] of [
    ['{"type":"event_callback","event_id":"Ev123","event":{"type":"app_mention","text":"é"}}', 'application/json', { id: 'Ev123', type: 'app_mention' }],
    ['command=%2Fweather&text=94070&trigger_id=13345224609.738474920.8088930838d88f008e0', 'application/x-www-form-urlencoded', { id: '13345224609.738474920.8088930838d88f008e0', type: '/weather' }],
    ['payload=' + encodeURIComponent('{"type":"block_actions","trigger_id":"12321423423.333649436676.d8c1"}'), 'application/x-www-form-urlencoded', { id: '12321423423.333649436676.d8c1', type: 'block_actions' }],
  ]) {
    const headers = { 'x-slack-request-timestamp': String(now), 'x-slack-signature': 'v0=' + hmac('sha256', secret, `v0:${now}:${body}`, 'hex') };
    verifySlackRequest({ signingSecret: secret, body, headers: { ...headers, 'x-slack-request-timestamp': now }, nowMilliseconds: now * 1000 });
    add('slack', '@slack/bolt', secret, body, { ...headers, 'Content-Type': type }, expect);
  }
}
{ // Shopify
  require('@shopify/shopify-api/adapters/node');
  const { shopifyApi, ApiVersion } = require('@shopify/shopify-api');
  const secret = 'shpss_test_secret';
  const shopify = shopifyApi({ apiKey: 'k', apiSecretKey: secret, scopes: ['read_orders'], hostName: 'a.example', hostScheme: 'https', apiVersion: Object.values(ApiVersion).at(-2), isEmbeddedApp: false, logger: { level: 0 } });
  const headers = { 'X-Shopify-Hmac-Sha256': hmac('sha256', secret, json, 'base64'), 'X-Shopify-Topic': 'orders/create', 'X-Shopify-Shop-Domain': 'a.myshopify.com', 'X-Shopify-API-Version': '2025-10', 'X-Shopify-Webhook-Id': 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043' };
  const rawRequest = Object.assign(Readable.from([json]), { method: 'POST', url: '/', headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toLowerCase(), v])) });
  const result = await shopify.webhooks.validate({ rawBody: json, rawRequest });
  assert(result.valid, JSON.stringify(result));
  add('shopify', '@shopify/shopify-api', secret, json, headers, { id: 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043', type: 'orders/create' });
}
{ // Twilio
  const twilio = require('twilio');
  const { getExpectedTwilioSignature, validateRequest, validateRequestWithBody, getExpectedBodyHash } = require('twilio/lib/webhooks/webhooks');
  assert(twilio);
  const token = '2f1d3c4b5a69788796a5b4c3d2e1f00f';
  const params = { MessageSid: 'SM1', MessageStatus: 'delivered', Body: 'a b+c é', MediaUrl: ['z', 'a', 'z'], To: '+18005551212', From: '+14158675309', A: '' };
  const body = new URLSearchParams(Object.entries(params).flatMap(([k, v]) => [v].flat().map((x) => [k, x]))).toString();
  const form = { 'Content-Type': 'application/x-www-form-urlencoded; charset=UTF-8' };
  for (const url of ['https://hooks.example.com/sms?foo=1&bar=%27x', 'https://hooks.example.com:443/sms', 'https://hooks.example.com:8443/sms']) {
    const signature = getExpectedTwilioSignature(token, url, params);
    assert(validateRequest(token, signature, url.replace(':8443', ''), params) || url.includes('8443'));
    add('twilio', 'twilio', token, body, { ...form, 'X-Twilio-Signature': signature }, { url: url.replace(':443/', '/'), id: 'SM1:delivered', type: 'delivered' });
  }
  const url = 'https://hooks.example.com/events?bodySHA256=' + getExpectedBodyHash(json);
  const signature = getExpectedTwilioSignature(token, url, {});
  assert(validateRequestWithBody(token, signature, url, json));
  add('twilio', 'twilio', token, json, { 'Content-Type': 'application/json', 'X-Twilio-Signature': signature, 'I-Twilio-Idempotency-Token': 'tok-1' }, { url, id: 'tok-1' });
}
{ // Linear
  const { LinearWebhookClient } = require('@linear/sdk/webhooks');
  const secret = 'lin_wh_test';
  const body = `{"action":"create","type":"Issue","webhookTimestamp":${now * 1000}}`;
  const signature = hmac('sha256', secret, body, 'hex');
  assert(new LinearWebhookClient(secret).verify(Buffer.from(body), signature, now * 1000));
  add('linear', '@linear/sdk', secret, body, { 'Linear-Signature': signature, 'Linear-Delivery': '234d1a4e-b617-4388-90fe-adc3633d6b72', 'Linear-Event': 'Issue' },
    { id: '234d1a4e-b617-4388-90fe-adc3633d6b72', type: 'Issue' });
}
{ // Paddle
  const { Paddle } = require('@paddle/paddle-node-sdk');
  const secret = 'pdl_ntfset_01gkpjp8bkm3tm53kdgkx6sms7_6h3qd3uFSi9YCD3OLYAShQI90XTI5vEI';
  const body = '{"event_id":"evt_01hv8wptq8987qeep44cyrewp9","event_type":"transaction.paid","data":{}}';
  const h1 = hmac('sha256', secret, `${now}:${body}`, 'hex');
  const header = `ts=${now};h1=${'0'.repeat(64)};h1=${h1};h2=abc`;
  assert(await new Paddle('key').webhooks.isSignatureValid(body, secret, header));
  add('paddle', '@paddle/paddle-node-sdk', secret, body, { 'Paddle-Signature': header }, { id: 'evt_01hv8wptq8987qeep44cyrewp9', type: 'transaction.paid' });
}
{ // SendGrid
  const { EventWebhook } = require('@sendgrid/eventwebhook');
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const secret = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const body = '[{"email":"a@example.com","event":"delivered","sg_event_id":"ev1"},\r\n{"email":"b@example.com","event":"delivered","sg_event_id":"ev2"}]\r\n';
  const signature = crypto.sign('sha256', Buffer.from(now + body), privateKey).toString('base64');
  const sdk = new EventWebhook();
  assert(sdk.verifySignature(sdk.convertPublicKeyToECDSA(secret), body, signature, String(now)));
  add('sendgrid', '@sendgrid/eventwebhook', secret, body, { 'X-Twilio-Email-Event-Webhook-Signature': signature, 'X-Twilio-Email-Event-Webhook-Timestamp': String(now) },
    { id: 'sha256:' + crypto.createHash('sha256').update('ev1\nev2\n').digest('hex'), type: 'delivered' });
}
{ // Discord
  const { verifyKey } = require('discord-interactions');
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
  const secret = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  const body = '{"id":"846462639134605312","type":2,"data":{"name":"deploy"}}';
  const signature = crypto.sign(null, Buffer.from(now + body), privateKey).toString('hex');
  assert(await verifyKey(body, signature, String(now), secret));
  add('discord', 'discord-interactions', secret, body, { 'X-Signature-Ed25519': signature, 'X-Signature-Timestamp': String(now) }, { id: '846462639134605312', type: '2' });
}
{ // SNS
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'sns.key', '-out', 'sns.pem', '-days', '36500', '-subj', '/CN=sns.amazonaws.com'], { stdio: 'ignore' });
  const [key, pem] = [fs.readFileSync('sns.key', 'utf8'), fs.readFileSync('sns.pem', 'utf8')];
  https.get = (_, answered) => { answered(Object.assign(Readable.from([pem]), { statusCode: 200 })); return { on() {} }; };
  const validator = new (require('sns-validator'))();
  const topic = 'arn:aws:sns:us-west-2:123456789012:orders';
  const common = { MessageId: '22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324', TopicArn: topic, Timestamp: new Date(now * 1000).toISOString(), SigningCertURL: 'https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem' };
  const messages = [
    { Type: 'Notification', Subject: 'é', Message: 'two\nlines' },
    { Type: 'Notification', Message: '{"a":"b"}' },
    { Type: 'SubscriptionConfirmation', Token: '2336412f37', Message: 'You have chosen to subscribe', SubscribeURL: `https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=2336412f37` },
  ];
  for (const m of messages) {
    for (const SignatureVersion of ['1', '2']) {
      const message = { ...m, ...common, SignatureVersion };
      const names = m.Type === 'Notification' ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'] : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
      const text = names.filter((n) => n in message).map((n) => `${n}\n${message[n]}\n`).join('');
      message.Signature = crypto.sign(SignatureVersion === '1' ? 'sha1' : 'sha256', Buffer.from(text), key).toString('base64');
      await new Promise((done, failed) => validator.validate(message, (err) => (err ? failed(err) : done())));
      add('sns', 'sns-validator', '', JSON.stringify(message), { 'Content-Type': 'text/plain; charset=UTF-8', 'x-amz-sns-message-type': m.Type }, { topics: [topic], pem, id: common.MessageId, type: m.Type });
    }
  }
}
console.log(JSON.stringify(vectors, null, 1));
