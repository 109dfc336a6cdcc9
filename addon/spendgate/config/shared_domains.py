"""Registered domains of which no wildcard is one company's own: below each, names are other people's, or many people's sign-in.

A CA that is constrained to such a domain could sign for every tenant of it, or for where the whole world signs in, fetches code
or pays. Each group says why its domains are in; whose company one of them is names each host. The list of public suffixes knows
many parents of tenants by itself, and every registry (`config/domains`); the domains of the providers that are read are added
there, too. What no list can know is left to a reviewer.
"""

from __future__ import annotations

from typing import Final

_CLOUDS: Final = (
    # A cloud's or a network's console, its sign-in, and each customer's machines, buckets and functions.
    "amazon.com", "amazonaws.com", "amazonaws.com.cn", "api.aws", "aws.dev", "awsapps.com", "awsstatic.com",
    "cloudfront.net", "on.aws", "azure.com", "azure.net", "azure-api.net", "azuredatabricks.net", "azurecontainer.io",
    "azureedge.net", "azurefd.net", "azurewebsites.net", "cloudapp.net", "trafficmanager.net", "visualstudio.com",
    "windows.net", "google.com", "googleapis.com", "googleusercontent.com", "gstatic.com", "withgoogle.com",
    "youtube.com", "appspot.com", "cloudfunctions.net", "firebaseapp.com", "firebaseio.com", "run.app", "web.app",
    "oracle.com", "oraclecloud.com", "ibm.com", "appdomain.cloud", "alibaba.com", "alibabacloud.com", "aliyun.com",
    "aliyuncs.com", "tencent.com", "qcloud.com", "myqcloud.com", "tencentcloudapi.com", "huaweicloud.com",
    "myhuaweicloud.com", "volces.com", "volcengine.com", "baidu.com", "baidubce.com", "yandex.com", "yandex.ru",
    "yandexcloud.net", "digitalocean.com", "digitaloceanspaces.com", "ondigitalocean.app", "hetzner.com", "hetzner.cloud",
    "linode.com", "linodeobjects.com", "ovh.com", "ovh.net", "ovhcloud.com", "scaleway.com", "scw.cloud", "vultr.com",
    "vultrobjects.com", "cloudflare.com", "cloudflareaccess.com", "cloudflarestorage.com", "pages.dev", "workers.dev",
    "trycloudflare.com", "akamai.com", "akamaiedge.net", "akamaihd.net", "akamaized.net", "edgekey.net", "edgesuite.net",
    "fastly.com", "fastly.net", "fastlylb.net", "b-cdn.net", "sap.com", "ondemand.com",
)  # fmt: skip
_HOSTING: Final = (
    # Where anybody puts a site, an app, a tunnel or a model up under a name that the host gives out.
    "fly.dev", "fly.io", "heroku.com", "herokuapp.com", "modal.com", "modal.run", "netlify.app", "netlify.com",
    "onrender.com", "render.com", "railway.app", "railway.com", "vercel.app", "vercel.com", "vercel.sh", "supabase.co",
    "supabase.com", "mongodb.net", "mongodb.com", "confluent.cloud", "elastic.co", "elastic-cloud.com",
    "snowflakecomputing.com", "snowflake.com", "databricks.com", "databricks.app", "replit.com", "replit.app",
    "replit.dev", "repl.co", "codesandbox.io", "csb.app", "gitpod.io", "stackblitz.com", "stackblitz.io",
    "webcontainer.io", "lovable.app", "lovable.dev", "bolt.new", "hf.space", "huggingface.cloud", "replicate.com",
    "replicate.delivery", "runpod.io", "runpod.net", "lightning.ai", "duckdns.org", "dyndns.org", "no-ip.com",
    "ngrok.app", "ngrok.com", "ngrok.dev", "ngrok.io", "ngrok-free.app", "ngrok-free.dev", "loca.lt", "localtunnel.me",
    "tailscale.com", "ts.net", "wixsite.com", "wix.com", "wordpress.com", "squarespace.com", "webflow.com", "webflow.io",
    "blogspot.com", "shopify.com", "myshopify.com", "godaddy.com", "cloudns.net",
)  # fmt: skip
_SIGN_IN: Final = (
    # Where people of every company sign in, to everything else.
    "microsoft.com", "microsoftonline.com", "microsoftonline-p.com", "cloud.microsoft", "onmicrosoft.com", "live.com",
    "msauth.net", "msftauth.net", "apple.com", "icloud.com", "okta.com", "okta-emea.com", "oktapreview.com",
    "okta-gov.com", "oktacdn.com", "auth0.com", "onelogin.com", "pingone.com", "pingone.eu", "pingone.asia",
    "pingidentity.com", "duo.com", "duosecurity.com", "jumpcloud.com", "cyberark.cloud", "idaptive.app", "sailpoint.com",
    "identitynow.com", "clerk.com", "clerk.dev", "stytch.com", "workos.com", "1password.com", "bitwarden.com",
    "lastpass.com", "dashlane.com", "keepersecurity.com", "facebook.com", "linkedin.com", "twitter.com", "x.com",
    "yahoo.com",
)  # fmt: skip
_WORK: Final = (
    # What companies work in, each below a name of its own or all in one: mail, files, talk, tickets, people, money.
    "office.com", "office.net", "office365.com", "outlook.com", "sharepoint.com", "sharepoint-df.com", "skype.com",
    "dynamics.com", "powerapps.com", "powerbi.com", "powerplatform.com", "gmail.com", "slack.com", "slack-edge.com",
    "slack-gov.com", "zoom.us", "zoom.com", "webex.com", "discord.com", "discord.gg", "atlassian.com", "atlassian.net",
    "trello.com", "asana.com", "monday.com", "linear.app", "clickup.com", "notion.com", "notion.site", "notion.so",
    "airtable.com", "figma.com", "miro.com", "canva.com", "box.com", "dropbox.com", "dropboxusercontent.com",
    "docusign.com", "docusign.net", "zendesk.com", "freshdesk.com", "freshworks.com", "intercom.io", "hubspot.com",
    "salesforce.com", "force.com", "salesforce-sites.com", "service-now.com", "servicenow.com", "workday.com",
    "myworkday.com", "myworkdayjobs.com", "bamboohr.com", "adp.com", "gusto.com", "rippling.com", "deel.com",
    "successfactors.com", "concur.com", "ariba.com", "coupahost.com", "netsuite.com", "intuit.com", "xero.com",
    "stripe.com", "paypal.com", "adyen.com", "plaid.com", "adobe.com", "zoho.com", "zohoapis.com", "datadoghq.com",
    "datadoghq.eu", "newrelic.com", "sentry.io", "splunk.com", "splunkcloud.com", "pagerduty.com", "opsgenie.com",
    "grafana.com", "grafana.net", "statuspage.io", "crowdstrike.com", "zscaler.com", "netskope.com", "mimecast.com",
    "proofpoint.com",
)  # fmt: skip
_CODE: Final = (
    # Where code and packages come from: what is signed for there runs on the laptop.
    "github.com", "github.dev", "github.io", "github.app", "githubusercontent.com", "githubassets.com", "githubapp.com",
    "ghcr.io", "ghe.com", "gitlab.com", "gitlab.io", "gitlab.net", "bitbucket.org", "bitbucket.io", "sr.ht",
    "codeberg.org", "npmjs.com", "npmjs.org", "yarnpkg.com", "jsr.io", "unpkg.com", "jsdelivr.net", "pypi.org",
    "pythonhosted.org", "anaconda.com", "anaconda.org", "crates.io", "rust-lang.org", "golang.org", "go.dev",
    "rubygems.org", "nuget.org", "maven.org", "sonatype.com", "jfrog.io", "docker.com", "docker.io", "quay.io",
    "redhat.com", "debian.org", "ubuntu.com", "brew.sh", "windowsupdate.com", "windows.com", "mozilla.org",
    "circleci.com", "travis-ci.com", "buildkite.com", "codecov.io",
)  # fmt: skip
_AI: Final = (
    # Vendors of AI tools beside those whose hosts are read: nobody else's company is below them.
    "cursor.com", "cursor.so", "sourcegraph.com", "tabnine.com", "jetbrains.com", "warp.dev", "augmentcode.com",
    "poe.com", "character.ai", "elevenlabs.io", "stability.ai", "assemblyai.com", "deepgram.com", "ai21.com",
    "sambanova.ai", "langchain.com", "wandb.ai", "helicone.ai", "portkey.ai", "braintrust.dev", "langfuse.com",
    "claude.com", "grok.com",
)  # fmt: skip
WITHIN: Final = frozenset({"openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"})
"""Parents of tenants within a cloud's own domain, which are no exact host either."""

SHARED_PARENTS: Final = frozenset((*_CLOUDS, *_HOSTING, *_SIGN_IN, *_WORK, *_CODE, *WITHIN))
"""None of them is a host to capture by its bare name either: a name constraint permits what is below it (capture/ca.py)."""
OTHERS_OWN: Final = frozenset(_AI)
"""Of these a bare name is one host of its vendor's."""
