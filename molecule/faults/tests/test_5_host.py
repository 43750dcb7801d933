"""The host itself fails: names do not resolve."""

from __future__ import annotations


def test_deploy_of_a_cached_image_needs_no_names(deploy, host, load, release):
    old = release()
    host.check_output("cp /etc/resolv.conf /root/resolv.conf")
    host.check_output("truncate -s 0 /etc/resolv.conf")
    with load() as traffic:
        run = deploy({"NAME": "no-dns"}, succeed=False)
    host.check_output("sh -c 'cat /root/resolv.conf > /etc/resolv.conf; rm /root/resolv.conf'")
    verdict = traffic.verdict()
    assert run.rc == 0, run.output
    assert release() != old
    assert verdict.failed == 0, str(verdict)
