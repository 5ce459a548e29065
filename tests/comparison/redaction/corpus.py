"""Texts with a planted secret, which stands where `§` is; and texts that hold none and must stay as they are."""

from __future__ import annotations

SECRET = "s3cr3t-VALUE.9"

#: Forms and addresses.
FORMS = """
password=§
user=bob&password=§
user=bob&password=§&remember=1
user=bob&pass=§&x=1
password="§"&x=1
password=a"§&x=1
password='a'§&x=1
password=a<b>§&x=1
password=two words §&x=1
password=a%26§&x=1
password=a;b=§&x=1
password=#§
user[password]=§
user%5Bpassword%5D=§&x=1
user%255Bpassword%255D=§
%70assword=§
userToken=§
user.token=§
user-token=§
USER_TOKEN_2=§
passwords=§
session=§&page=2
x=1&client_secret=§
a+token=§&b=1
data=%7B%22password%22%3A%22§%22%7D
data=%7B%22a%22%3A1%2C%22apiKey%22%3A%22§%22%7D&x=1
data={"password":"§"}
SAMLResponse=§&RelayState=x
card_number=§&exp=12
grant_type=authorization_code&code_verifier=§
grant_type=password&username=bob&password=§
client_assertion=§&scope=x
/login?token=§
/callback?code=§&state=x
name=password&value=§
/login?next=/home&access_token=§
/login?ACCESS_TOKEN=§#top
/callback?code=1&state=x&id_token=§
/x?redirect=https%3A%2F%2Fy%2F%3Ftoken%3D§%26b%3D1&c=2
/x?redirect=%2Fa%253Ftoken%253D§
/x;jsessionid=§?page=1
/x?sig=§&se=2024-01-01
/x?X-Amz-Signature=§&X-Amz-Date=20240101
/x?api-key=§
/x?apikey=§
/x?auth=§
/x?sessionId=§
/x?s[password]=§
/x?password[]=§
https://y/x?token=§
https://y/#access_token=§&token_type=bearer
see https://y/x?token=§ for more
<https://x/?api_key=§>; rel="next"
GET /x?token=§ HTTP/1.1
/reset-password/§
/users/7/verify/§/done
/auth/magic/§
https://y/invite/§?x=1
//bob:§@host/x
https://bob:§@host/x
https://:§@host/x
postgres://bob:§@db:5432/shop
postgres://bob:a@§@db:5432/shop
postgres://bob:a/§@db:5432/shop
mongodb+srv://bob:§@cluster0.example.net/?retryWrites=true
redis://:§@cache:6379/0
amqp://guest:§@mq
{"url": "mysql://root:§@db/x"}
smtp://user%40host:§@mail
bob:§@tcp(db:3306)/shop
https%3A%2F%2Fbob%3A§%40host%2F
"""

#: JSON, whole, broken, cut, within texts, and what prints like it.
JSONS = r"""
{"password": "§"}
{"a": 1, "password": "§", "b": 2
{"password": "§
{"password": "a\"§", "b": 2
{"password":"§","b":2
{"password" : "§"
{"pass\u0077ord": "§", "x
{"userToken": "§", "x
{"passwords": ["§", "b"], "x
{"secrets": {"a": {"b": "§"}}, "x
{"token": ["a", ["§"]], "x
{"pin": §
{"accessToken": "a", "refreshToken": "§"
{"session": {"id": "§"}, "x
{'password': '§', 'x
{'password': "it's §", 'x
{password: "§", x
{password: '§'}
{"a": "{\"password\": \"§\"}"}
{"a": "{\\\"password\\\": \\\"§\\\"}"}
{\"password\": \"§\"}
["cookie", "§"]
[["host", "a"], ["cookie", "§"]]
["Authorization", "§"], x
{"name": "DB_PASSWORD", "value": "§"}
{"name":"DB_PASSWORD","value":"§"
{"Key": "Authorization", "Value": "§"}
{"Value": "§", "Key": "Authorization"}
{"key": "api_key", "value": "§", "x
{"Name": "Cookie", "Value": "§"
{"header": "X-Auth-Token", "value": "§"
{"field": "password", "newValue": "§"
{"Parameters": [{"ParameterKey": "DBPassword", "ParameterValue": "§"}]}
{"name": "sessionid", "path": "/"}, {"name": "Set-Cookie", "value": "§"
{"headers": {"Authorization": "Bearer §"}}
{"headers": {"X-Api-Key": "§"
{"headers": {"Cookie": "sid=§; theme=dark"}, "x
{"env": [{"name": "SECRET_KEY", "value": "§"}], "x
{"msg": "token=§"}
{"msg": "use password: §"}
{"msg": "GET /x?token=§"}
{"next": "/x?access_token=§&a=1"
var config = {apiKey: "§", x: 1};
window.csrfToken = "§";
const token = '§';
let token = `§`;
localStorage.setItem("token", "§");
headers.set('Authorization', '§')
xhr.setRequestHeader("X-Api-Key", "§");
:password => "§"
"password" => "§",
'password' => '§',
"password" := "§"
@Password("x") password = "§"
Token(value=1, secret='§')
data: {"token": "§"}
event: x\ndata: {"apiKey":"§"}
{"password": §, "b": 2}
{"DB": {"connection_string": "Server=x;Password=§"}}
%7B%22password%22%3A%22§%22
&quot;password&quot;: &quot;§&quot;
&#34;token&#34;:&#34;§&#34;
&#x22;token&#x22;:&#x22;§&#x22;
"""

#: Lines: heads, configurations, commands and prose.
LINES = """
Authorization: §
Authorization: Bearer §
authorization: Basic czNjcjN0OlZBTFVF§
Proxy-Authorization: §
Cookie: §
Cookie: a=b; sid=§; theme=dark
Set-Cookie: sid=§; Path=/; HttpOnly
X-Api-Key: §
x-auth-token: §
X-Auth-User: §
x-auth-request-access-token: §
X-CSRF-Token: §
X-Amz-Security-Token: §
X-Goog-Iam-Authorization-Token: §
Private-Token: §
password = § and more
password=§
PASSWORD="§"
password='§'
password = '§'
password: §
password: "§"
export DB_PASSWORD=§
DB_PASSWORD=a&b§
AWS_SECRET_ACCESS_KEY=§
aws_secret_access_key = §
encryptionKey: §
private_key: §
secrets: [a, §]
tokens = ["a", "§"]
passphrase: §
client-secret: §
AccountName=x;AccountKey=§;EndpointSuffix=core.windows.net
Endpoint=sb://x/;SharedAccessKeyName=y;SharedAccessKey=§
Server=tcp:x,1433;User ID=u;Password=§;Encrypt=True
jdbc:mysql://db/shop?user=bob&password=§
host=db user=bob password=§ dbname=shop
level=info msg=login token=§ user=bob
API key: §
Card number: §
Security code: §
Access Token: §
my password: §
it said Bearer §, twice
curl -H "Authorization: Bearer §" https://x
curl -H 'X-Api-Key: §' https://x
curl -u bob:§ https://x
curl --user "bob:§" https://x
mysql --password=§ -h db
mysql --password § -h db
tool --api-key "§" run
tool --token '§'
CREATE USER bob WITH PASSWORD '§';
machine x login bob password "§"
machine x login bob password §
pw=§
<!-- token: § -->
# secret: §
// apiKey = "§"
2024-01-01 12:00:00 INFO login password=§
bearerToken: §
X-Session-Id: §
passcode=§
otp: §
cvv: §
ssn: §
jwt=§
sessionid=§
PHPSESSID=§; path=/
connect.sid=§
"""

#: XML and HTML.
MARKUP = """
<password>§</password>
<Password>§</Password>
<a:password x='1'>§</a:password>
<user><apiKey>§</apiKey></user>
<secret><![CDATA[§]]></secret>
<secret><![CDATA[a <b> §]]></secret>
<token>a<b>§</b></token>
<token>§
<user password="§"/>
<user password='§'/>
<user api-key="§" name="bob"/>
<user password="a<b§"/>
<entry key="password">§</entry>
<entry key="password"><![CDATA[<§>]]></entry>
<property name="db.password" value="§"/>
<property value="§" name="db.password"/>
<add key="ApiKey" value="§" />
<add name="x" connectionString="Server=x;Password=§" />
<param name="password">§</param>
<setting name="Password"><value>§</value></setting>
<p>Your API key: <code>§</code></p>
<li>Token: <b class="x">§</b></li>
<string name="api_key">§</string>
<Header><Name>Authorization</Name><Value>§</Value></Header>
<header><name>Cookie</name><value>§</value></header>
<Key>secret</Key><Value>§</Value>
<dict><key>Password</key><string>§</string></dict>
<tr><th>Authorization</th><td>Bearer §</td></tr>
<tr><td><code>API key</code></td><td>§</td></tr>
<dt>Password</dt><dd>§</dd>
<input type="hidden" name="csrf_token" value="§">
<input value="§" name="csrf_token" type="hidden">
<INPUT value=§ name=user[password]>
<input name=password value='§'>
<input type="password" value="§">
<input id="session" value="§">
<input name="password" value="a<b §">
<meta name="csrf-token" content="§" />
<meta content="§" name="csrf-token">
<div data-token="§"></div>
<div data-api-key='§'></div>
<body data-csrf="§">
<textarea name="secret">§</textarea>
<script>var token = "§";</script>
<script>window.__STATE__ = {"session":{"id":"§"}};</script>
<a href="/x?token=§">text</a>
<a href='/x?token=§'>text</a>
<a href=/x?token=§>text</a>
<a href="/x?a=1&amp;token=§&amp;b=2">text</a>
<a href="https://bob:§@host/">text</a>
<img src="/i.png?sig=§">
<form action="/x;jsessionid=§">
<p>password: §</p><p>hello</p>
<soap:Envelope><soap:Header><wsse:Password Type="x">§</wsse:Password></soap:Header></soap:Envelope>
<wsse:BinarySecurityToken>§</wsse:BinarySecurityToken>
<ds:SignatureValue>§</ds:SignatureValue>
&lt;password&gt;§&lt;/password&gt;
"""

#: Texts of several lines, each secret once.
BLOCKS = (
    "password: |\n  §\nuser: bob",
    "password: >-\n  a\n  §\nuser: bob",
    "password:\n  §\nuser: bob",
    "secrets:\n  a: x\n  b: §\nuser: bob",
    "secrets:\n  a:\n    b: §\nuser: bob",
    "tokens:\n- a\n- §\nuser: bob",
    "tokens:\n  - a\n  - §\nuser: bob",
    "db:\n  password: a\n    §\n  user: bob",
    "- password: |\n    §\n  user: bob",
    "- name: DB_PASSWORD\n  value: §\n- name: CITY\n  value: Ulm",
    "env:\n  - name: API_KEY\n    value: '§'\n",
    'apiVersion: v1\nkind: Secret\ndata:\n  password: "§"\n',
    "stringData:\n  client-secret: §\n",
    'password = """\n§\n"""\nuser = "bob"',
    "Authorization: Bearer\n  §\nHost: a",
    "id,password,city\n1,§,Ulm\n",
    "id,password,city\r\n1,a,Ulm\r\n2,§,Bonn\r\n",
    'id,password,city\n1,"a ""§"", b",Ulm\n',
    'id,password,city\n1,"a\n§",Ulm\n',
    '"id","API key"\n"1","§"\n',
    "id;token\n1;§\n",
    "id\ttoken\tcity\n1\t§\tUlm",
    "| id | password |\n|----|------|\n| 1 | § |\n",
    "user,sessionToken\nbob,§",
    "\ufeffuser,password\nbob,§",
    '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n§\r\n--b--',
    "--b\r\nContent-Disposition: form-data; name=password\r\n\r\n§\r\n--b--",
    '--b\r\nContent-Disposition: form-data; name="user[api_key]"\r\nContent-Type: text/plain\r\n\r\na\r\n§\r\n--b--',
    '--b\nContent-Disposition: form-data; name="key"\n\n-----BEGIN RSA PRIVATE KEY-----\n§\n-----END RSA--\n--b--',
    '--b\r\nContent-Disposition: form-data; name="json"\r\n\r\n{"token": "§"}\r\n--b--',
    '--b\r\nContent-Disposition: form-data; filename="f"; name="secret"\r\n\r\na\r\n--\r\n§\r\n--b--',
    '--b\r\nContent-Disposition: form-data; name="pass%77ord"\r\n\r\n§\r\n--b--',
    "-----BEGIN PRIVATE KEY-----\n§\n-----END PRIVATE KEY-----\n",
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n§\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n§",
    "-----BEGIN EC PRIVATE KEY-----\\n§\\n-----END EC PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n§\n-----END PGP PRIVATE KEY BLOCK-----",
    "-----BEGIN PGP MESSAGE-----\n\n§\n-----END PGP MESSAGE-----",
    '{"private": "-----BEGIN ENCRYPTED PRIVATE KEY-----\\n§\\n-----END ENCRYPTED PRIVATE KEY-----\\n"}',
    'user: bob\npassword: "a\n§"\ncity: Ulm',
    "[db]\nuser = bob\npassword = §\n[other]\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: sid=§\r\n\r\n",
    '{\n  "user": "bob",\n  "password":\n    "§",\n  "x": [',
)

A36 = "0123456789abcdefghijABCDEFGHIJ012345"
HEX32 = "0123456789abcdef0123456789abcdef"

#: Secrets that are known by their form, wherever they stand.
SHAPES = (
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
    "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZodetZdvT",
    "eyJhbGciOiJSU0EtT0FFUCJ9.OKOawDo13gRp.48V1_ALb6US04U3b.5eym8TW_c8.XFBoMYUZ",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    f"AIza{A36[:35]}",
    f"ya29.{A36}",
    f"GOCSPX-{A36[:28]}",
    f"ghp_{A36}",
    f"gho_{A36}",
    f"ghs_{A36}",
    f"github_pat_11{A36}_{A36}",
    f"glpat-{A36[:20]}",
    "xoxb-1234567890-abcdefghijkl",
    "xoxp-1234567890-1234567890-abcdef",
    "xapp-1-A012345-678901-abcdef",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "rk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "whsec_4eC39HqLyjWDarjtT1zdp7dc",
    "pi_3MtwBwLkdIwHu7ix28a3tqPa_secret_YrKJUKribcBjcG8HVhfZluoGH",
    f"npm_{A36}",
    f"pypi-AgEIcHlwaS5vcmc{A36}",
    f"SK{HEX32}",
    f"AC{HEX32}",
    f"SG.{A36[:22]}.{A36}0123456",
    f"key-{HEX32}",
    f"{HEX32}-us12",
    f"abc8Q~{A36[:34]}",
    f"sk-{A36}",
    f"sk-proj-{A36}",
    f"sk-ant-api03-{A36}",
    f"hf_{A36}",
    f"shpat_{HEX32}",
    f"dop_v1_{HEX32}{HEX32}",
    f"dckr_pat_{A36[:27]}",
    f"hvs.{A36}",
    f"rubygems_{HEX32}0123456789abcdef",
    f"110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw{A36[:3]}",
    f"AGE-SECRET-KEY-1{A36.upper()}",
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "3782 822463 10005",
    "6011111111111117",
    "3530111333300000",
    "30569309025904",
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW",
)

#: Where a secret of a known form may stand.
AROUND = ("§", "a § b", '{"x": "§"}', "x=§&y=1", "/a/§/b", "<a>§</a>", "x: §\ny: 1", "(§)", "'§'", "%22§%22")

HARMLESS = r"""
page_token=abc123&x=1
/items?pageToken=CAUQAA&limit=10
{"next_token": "abc123", "items": []}
{"NextToken": "abc123"
{"nextPageToken": "CAUQAA", "kind": "list"}
{"nextSyncToken": "CAUQAA"
NextContinuationToken: abc123
{"token_count": 17, "x": 1}
{"usage": {"prompt_tokens": 12, "completion_tokens": 30, "total_tokens": 42}}
{"max_tokens": 512, "temperature": 0.1}
{"token_type": "bearer", "expires_in": 3600}
{"tokenType": "Bearer"
token_endpoint: https://x/oauth/token
token_url=https://x/oauth/token
primary key
primary key: id
key: 17
{"key": "color", "value": "red"}
{"Key": "photos/cat.jpg", "Size": 17}
{"primaryKey": "id", "foreign_key": "user_id"}
public_key: abc
cache_key=abc
keyboard=qwerty
{"keyboard": "azerty", "monkey": "george", "turkey": 1}
keywords: proxy, mirror
session_count=5
{"session_timeout": 30, "session_duration": 5}
Active sessions: 5
author: Jane
{"author": "Jane", "authors": ["Jane", "Bob"], "authority": "x"}
<author>Jane</author>
authority=example.org:443
passenger=Bob&seat=12A
{"passengers": [{"name": "Bob"}], "passage": "x", "compass": "N"}
{"tokenizer": "bpe", "tokenized": true}
tokenizer: cl100k_base
pass_rate=0.97&pass_count=12
{"passed": 17, "failed": 0}
passport=no
secretary: Jane
{"cookie_policy": "strict", "cookie_consent": true}
{"has_password": true, "password_required": false, "passwordless": true}
{"password_policy": {"min_length": 8}}
{"is_secret": false, "secretName": "db"}
requires_token=true
signature_algorithm: RS256
Access-Control-Allow-Headers: Authorization, Content-Type
WWW-Authenticate: Basic realm="shop"
Vary: Cookie, Authorization
Surrogate-Key: a b c
{"status_code": 200, "error_code": 17, "country_code": "DE"}
postcode: 89073
/static/app.3f2b9c1d4e5f.js
/static/app.js?v=3f2b9c1d4e5f60718293a4b5c6d7e8f901234567
/static/app.js?3f2b9c1d4e5f60718293a4b5c6d7e8f901234567
<script src="/static/app.js?v=3f2b9c1d4e5f60718293a4b5c6d7e8f901234567"></script>
<link rel="stylesheet" href="/s.css?md5=9e107d9d372bb6826bd81d3542a419d6">
<script integrity="sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC"></script>
commit 3f2b9c1d4e5f60718293a4b5c6d7e8f901234567
ETag: "3f2b9c1d4e5f60718293"
{"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}
{"id": "0b9e6a7e-2f0c-4d3f-9b6e-1f1f0e8d7c6b"}
/orders/0b9e6a7e-2f0c-4d3f-9b6e-1f1f0e8d7c6b/items
{"order_number": "1234567890123"}
Order 2024-000123-4567
order_id=4000123412341235
ISBN 978-3-16-148410-0
{"isbn": "9783161484100", "ean": "4006381333931"}
{"phone": "+49 731 123 4567"}
tel:+14155552671
+1 415 555 2671 ext. 12
{"time": 1700000000123, "nanos": 1700000000123456789}
{"pi": 3.14159265358979323846, "e": 0.4111111111111111}
version 1.2.3-beta.4+build.567
{"version": "2.31.0", "python": ">=3.11"}
Python/3.11 aiohttp/3.9.1
2024-01-31T12:00:00Z
{"date": "2024-01-31", "time": "12:30"}
192.168.0.1:8080
http://localhost:8080/@bob
http://a:80/@b //c:d
https://example.org:443/x?a=b@c
mailto:bob@example.org
bob@example.org
https://example.org/~bob/
//cdn.example.org/lib.js
a bearer document, basic requirements
Basic requirements are listed below
a bearer of good news
the pass over the Alps
Enter your password and confirm it
Forgot your password?
<label for="password">Password</label>
<input type="password" name="password" placeholder="Your password">
<input name="city" value="Ulm"> eyJ eyJabc.
<meta name="viewport" content="width=device-width">
<option value="key">Key</option>
<tr><th>Key</th><td>17</td></tr>
<key>CFBundleName</key><string>Shop</string>
<entry key="city">Ulm</entry>
ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ bob@host
-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----
-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----
id,name,city\n1,Bob,Ulm\n
name: CITY\n  value: Ulm
{"name": "CITY", "value": "Ulm"}
["city", "Ulm"]
["name", "email", "city"]
{"error": "invalid request", "message": "the field is required"}
SK and AC, Washington DC
task-force sk-learn pypi- npm_config_registry
lorem ipsum dolor sit amet, 12 34 56
1234 5678 9012 3456
0000000000000000
/v1/tokens/count?model=x
/authors/12?sort=key&order=asc
/search?code=17&page=2
<li>Key: <b>17</b></li>
/items?key=color&value=red
a=b&c=d%20e&f=%7B%22g%22%3A1%7D
{"a": "b \"c\" d", "e": "f\ng"}
50% off, 100%25 sure
x < y && y > z; a = b
if (a == b) { return c; }
def author(key): return key
SELECT id, name FROM users WHERE id = 17
C:\\Users\\bob\\file.txt
color: #ff0000; width: 100%
charset=utf-8; boundary=x
"""
